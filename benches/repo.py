#!/usr/bin/env python3
"""Measures what following a config repo costs: a look that finds nothing new, and a fetch of one commit, beside git itself.

    benches/repo.py                     1 000 apps in the repo, 30 rounds; prints a table in Markdown
    benches/repo.py --apps 10000 --rounds 10

One real git server (nginx, fcgiwrap, git http-backend) on the loopback interface serves both. The rounds take turns, so that whatever else the
machine does meets both. No app runs here: the host's file in the repo names none, so that only the repo's part is measured.
docs/BENCHMARKS.md describes what is measured.
"""

import argparse
import contextlib
import json
import os
import pathlib
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "hop3-agent"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or CACHE / "target")
BACKEND = "/usr/lib/git-core/git-http-backend"
TICKS = os.sysconf("SC_CLK_TCK")
ENV = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"] + ":/usr/sbin"}
for role in ("AUTHOR", "COMMITTER"):
    ENV[f"GIT_{role}_NAME"], ENV[f"GIT_{role}_EMAIL"] = "Bench", "bench@example.org"


def run(*command, cwd=None):
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=ENV, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def wait_for(what, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {seconds} s")
        time.sleep(0.01)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def process(*command):
    child = subprocess.Popen(list(map(str, command)), env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()


def make_repo(root, apps):
    """A repository of apps of which the host runs none."""
    work = root / "work"
    for number in range(apps):
        directory = work / "apps" / f"app-{number}"
        directory.mkdir(parents=True)
        (directory / "hop3.toml").write_text(f'[domains]\nlist = ["app-{number}.test"]\n')
        (directory / "index.html").write_text(f"app {number}\n")
    (work / "hosts").mkdir()
    (work / "hosts" / "bench.toml").write_text("apps = []\n")
    run("git", "init", "-q", "-b", "main", work)
    run("git", "add", "-A", cwd=work)
    run("git", "commit", "-q", "-m", "all", cwd=work)
    run("git", "clone", "-q", "--bare", work, root / "config.git")
    run("git", "remote", "add", "origin", root / "config.git", cwd=work)
    return work


def server_config(root, port):
    return f"""daemon off; master_process off; pid {root}/nginx.pid; error_log {root}/error.log; events {{}}
http {{ log_format plain '$connection $request'; access_log {root}/access.log plain; gzip off; client_max_body_size 0;
  client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3; uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
  server {{ listen 127.0.0.1:{port}; keepalive_requests 100000; location / {{ fastcgi_pass unix:{root}/fcgi.sock;
    fastcgi_param SCRIPT_FILENAME {BACKEND}; fastcgi_param GIT_PROJECT_ROOT {root}; fastcgi_param GIT_HTTP_EXPORT_ALL 1;
    fastcgi_param PATH_INFO $uri; fastcgi_param QUERY_STRING $query_string; fastcgi_param REQUEST_METHOD $request_method;
    fastcgi_param CONTENT_TYPE $content_type; fastcgi_param CONTENT_LENGTH $content_length; fastcgi_param HTTP_GIT_PROTOCOL $http_git_protocol;
  }} }} }}
"""


class Agent:
    def __init__(self, root, url):
        self.socket = root / "run" / "agent.sock"
        (root / "agent.toml").write_text(
            f'host = "bench"\ndata-dir = "{root}/data"\nrun-dir = "{root}/run"\nlisten = ""\n[repo]\nurl = "{url}"\npoll = "24h"\n'
            '[drift]\ninterval = "24h"\n[policy]\nusers = "none"\n[plugin.builtin-proxy]\nlisten = ["127.0.0.1:%d"]\n' % free_port()
        )
        self.command = [TARGET / "release" / "hop3-agent", "--config", root / "agent.toml", "run"]

    def ask(self, request):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.socket))
            connection.sendall(json.dumps(request).encode() + b"\n")
            return json.loads(connection.makefile().readline())

    def revision(self):
        return self.ask({"request": "status"})["done"]["revision"]


def spent(pid):
    """CPU seconds of a process: its own, and those of children that it waited for."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    own, children = sum(map(int, fields[11:13])), sum(map(int, fields[13:15]))
    return own / TICKS, children / TICKS


def timed(action):
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000


def children_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(root, work, agent, pid, url, rounds):
    clone = root / "clone"
    run("git", "clone", "-q", "--depth", "1", url, clone)
    sync = lambda: agent.ask({"request": "sync", "wait": True})
    sync()
    looks, lists = [], []
    looks_cpu = lists_cpu = 0.0
    per_round = 20
    requests = len((root / "access.log").read_text().splitlines())
    asked = 0
    for _ in range(rounds):
        before = spent(pid)[0]
        looks += [timed(sync) for _ in range(per_round)]
        looks_cpu += spent(pid)[0] - before
        asked += len((root / "access.log").read_text().splitlines()) - requests
        before = children_cpu()
        lists += [timed(lambda: run("git", "ls-remote", url, "refs/heads/main")) for _ in range(3)]
        lists_cpu += children_cpu() - before
        requests = len((root / "access.log").read_text().splitlines())
    taken, fetched = [], []
    taken_cpu = fetched_cpu = 0.0
    for number in range(rounds):
        (work / "apps" / "app-0" / "index.html").write_text(f"edition {number}\n")
        run("git", "commit", "-q", "-a", "-m", "next", cwd=work)
        run("git", "push", "-q", "origin", "main", cwd=work)
        head = run("git", "rev-parse", "HEAD", cwd=work)
        before = sum(spent(pid))
        taken.append(timed(sync))
        taken_cpu += sum(spent(pid)) - before
        assert agent.revision() == head
        before = children_cpu()
        fetched.append(timed(lambda: run("git", "fetch", "-q", "origin", "main", cwd=clone)))
        fetched_cpu += children_cpu() - before
    ms = lambda times: f"{statistics.median(times):.1f} ms ({min(times):.1f}–{max(times):.1f})"
    cpu = lambda seconds, times: f"{seconds * 1000 / len(times):.1f} ms"
    print("| | on the clock, median (range) | CPU, mean |\n| --- | --: | --: |")
    print(f"| a look of the agent that finds nothing new: {asked / len(looks):.2f} requests | {ms(looks)} | {cpu(looks_cpu, looks)} |")
    print(f"| `git ls-remote` for one branch | {ms(lists)} | {cpu(lists_cpu, lists)} |")
    print(f"| the agent takes up one commit: look, fetch in a child, read what changed, plan | {ms(taken)} | {cpu(taken_cpu, taken)} |")
    print(f"| `git fetch` of that commit | {ms(fetched)} | {cpu(fetched_cpu, fetched)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--apps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    binary = TARGET / "release" / "hop3-agent"
    if not binary.exists():
        sys.exit(f"{binary} is missing: cargo build --release --bin hop3-agent")
    with tempfile.TemporaryDirectory(prefix="h3b-") as name:
        root = pathlib.Path(name)
        work = make_repo(root, arguments.apps)
        port = free_port()
        (root / "nginx.conf").write_text(server_config(root, port))
        url = f"http://127.0.0.1:{port}/config.git"
        agent = Agent(root, url)
        with process("fcgiwrap", "-s", f"unix:{root}/fcgi.sock"), process("nginx", "-e", root / "error.log", "-c", root / "nginx.conf"):
            wait_for("the git server", lambda: (root / "fcgi.sock").exists() and answers(port))
            with process(*agent.command) as child:
                wait_for("the agent", agent.socket.exists)
                wait_for("the first commit", lambda: agent.revision() is not None)
                print(f"{arguments.apps} apps in the repo, {arguments.rounds} rounds, load average {os.getloadavg()[0]:.1f}\n")
                measure(root, work, agent, child.pid, url, arguments.rounds)


if __name__ == "__main__":
    main()
