#!/usr/bin/env python3
"""Measures the way from a commit to the visitor, side by side for several ways of deploying one small Flask app.

    benches/deploy.py                          everything; prints a table in Markdown
    benches/deploy.py --rounds 3 --only hup    some of it

Each round takes each way in turn, so that whatever else the machine does meets them all: push a commit in peace; then put a
load on, push another one, wait until a fresh request is answered by the new version, keep the load on for a while, end it.
docs/BENCHMARKS.md describes what is measured. Everything listens on the loopback interface and is ended by its process id. Virtual
environments are made once, in ~/.cache/hop3-agent/bench; the first run needs PyPI for that.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

REPO = pathlib.Path(__file__).resolve().parent.parent
APP = REPO / "benches" / "app"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "hop3-agent"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or CACHE / "target")
HOST = "bench.localhost"
SITE = "bench-site.localhost"
SERVER = "--workers 2 --threads 8 app:app"  # the same for all; see app/hop3.toml

BEFORE = 1.0  # seconds of load before the push
AFTER = 4.0  # and after the new version has answered: old workers end meanwhile
PATIENCE = 90.0


# -- machinery ---------------------------------------------------------------------------------------------------------


def run(*command, cwd=None, env=None):
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def wait_for(what, condition, seconds=PATIENCE, pause=0.005):
    """Returns when the condition held for the first time, on the monotonic clock."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {seconds:g} s")
        time.sleep(pause)
    return time.monotonic()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def fetch(port, host, path="/"):
    """Headers and text of a fresh request, or (None, "") if there is no good answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path, headers={"Host": host, "Connection": "close"})
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        return (answer.headers, text) if answer.status == 200 else (None, "")
    except (OSError, http.client.HTTPException):
        return None, ""
    finally:
        connection.close()


def version_at(port):
    headers, _ = fetch(port, HOST)
    return headers and headers.get("X-Version")


def alive(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def end(*pids, grace=15.0):
    """TERM, and KILL for whoever is left after the grace."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in filter(alive, pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + grace
        while any(map(alive, pids)) and time.monotonic() < deadline:
            time.sleep(0.02)


class Origin:
    """A repository to push to, and a clone to commit in."""

    def __init__(self, folder, files):
        self.bare = folder / "origin.git"
        self.clone = folder / "author"
        run("git", "init", "-q", "--bare", "-b", "main", self.bare)
        run("git", "clone", "-q", self.bare, self.clone)
        run("git", "checkout", "-q", "-b", "main", cwd=self.clone)
        run("git", "config", "user.name", "Bench", cwd=self.clone)
        run("git", "config", "user.email", "bench@localhost", cwd=self.clone)
        for name, text in files.items():
            self.write(name, text)
        self.push("Begin")

    def write(self, name, text):
        path = self.clone / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def push(self, message):
        run("git", "add", "-A", cwd=self.clone)
        run("git", "commit", "-q", "-m", message, cwd=self.clone)
        run("git", "push", "-q", "origin", "main", cwd=self.clone)


def app_files(prefix=""):
    files = {path.name: path.read_text() for path in APP.iterdir() if path.is_file()}
    return {prefix + name: text for name, text in {**files, "VERSION": "1\n"}.items()}


# -- the ways of deploying ---------------------------------------------------------------------------------------------


class Way:
    """One way of getting a pushed commit to run. `deploy` is called when the push is done and returns the process that does it."""

    version_file = "VERSION"

    def __init__(self, folder, options):
        self.folder = folder
        self.options = options
        self.port = free_port()
        folder.mkdir()

    def change(self, version):
        self.origin.write(self.version_file, f"{version}\n")
        self.origin.push(f"Version {version}")


class Script(Way):
    """A checkout with gunicorn in it, and a script that a webhook or a timer would start."""

    def __init__(self, folder, options):
        super().__init__(folder, options)
        self.origin = Origin(folder, app_files())
        self.checkout = folder / "checkout"
        self.pid_file = folder / "gunicorn.pid"
        run("git", "clone", "-q", self.origin.bare, self.checkout)
        self.start_script = self.write_script(
            "start.sh",
            f"""
            cd {self.checkout}
            exec {options.venv}/bin/gunicorn --daemon --pid {self.pid_file} --log-file {folder}/gunicorn.log --bind 127.0.0.1:{self.port} {SERVER}
            """,
        )
        self.restart_script = self.write_script(
            "restart.sh",
            f"""
            old=$(cat {self.pid_file})
            kill "$old"
            while kill -0 "$old" 2>/dev/null; do sleep 0.02; done
            exec sh {self.start_script}
            """,
        )
        self.deploy_script = self.write_script("deploy.sh", self.deploy_commands())
        run("sh", self.start_script)

    def write_script(self, name, text):
        path = self.folder / name
        path.write_text("set -eu\n" + "".join(line.strip() + "\n" for line in text.strip().splitlines()))
        return path

    def deploy(self):
        return subprocess.Popen(["sh", self.deploy_script], stdin=subprocess.DEVNULL)

    def stop(self):
        if self.pid_file.exists():
            end(int(self.pid_file.read_text()))


class Restart(Script):
    """git pull, pip install, kill, start"""

    def deploy_commands(self):
        return f"""
        cd {self.checkout}
        git pull -q --ff-only
        {self.options.venv}/bin/pip install --quiet --requirement requirements.txt
        exec sh {self.restart_script}
        """


class Hup(Script):
    """git pull, pip install only if the requirements changed, HUP to gunicorn"""

    def deploy_commands(self):
        return f"""
        cd {self.checkout}
        git pull -q --ff-only
        git diff --quiet 'HEAD@{{1}}' -- requirements.txt || {self.options.venv}/bin/pip install --quiet --requirement requirements.txt
        kill -HUP "$(cat {self.pid_file})"
        """


class AnsiblePull(Script):
    """ansible-pull with a playbook of two tasks: pip install, restart"""

    def deploy_commands(self):
        ansible = self.options.ansible
        return f"""
        export BENCH_VENV={self.options.venv} BENCH_RESTART={self.restart_script}
        export PATH={ansible}/bin:$PATH ANSIBLE_HOME={self.folder}/ansible ANSIBLE_PYTHON_INTERPRETER={ansible}/bin/python3
        exec ansible-pull --only-if-changed --url {self.origin.bare} --checkout main --directory {self.checkout} --inventory localhost, local.yml >{self.folder}/ansible.log 2>&1
        """


class Agent(Way):
    """hop3-agent, told by `sync` that there is a commit"""

    version_file = "apps/bench/VERSION"

    def __init__(self, folder, options):
        super().__init__(folder, options)
        # A copy of its own: every process of it can be recognised by the program that it runs.
        self.program = folder / "hop3-agent"
        shutil.copy2(options.agent, self.program)
        self.origin = Origin(folder, {**app_files("apps/bench/"), **self.site_files(1)})
        self.pages_port = free_port()
        self.config = folder / "agent.toml"
        self.config.write_text(self.settings())
        with open(folder / "agent.log", "wb") as log:
            self.process = subprocess.Popen([*self.command("run")], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def settings(self):
        """agent.toml: nothing comes by polling, and all addresses are its own."""
        return f"""
host = "bench"
listen = "127.0.0.1:{self.pages_port}"
data-dir = "{self.folder}/data"
run-dir = "{self.folder}/run"

[repo]
url = "file://{self.origin.bare}"
branch = "main"
poll = "1h"

[policy]
users = "none"

[plugin.builtin-proxy]
listen = ["127.0.0.1:{self.port}"]
"""

    def site_files(self, version):
        return {
            "apps/site/hop3.toml": f'[build]\nstatic-dir = "public"\n\n[domains]\nlist = ["{SITE}"]\n',
            "apps/site/public/index.html": f"<!doctype html><title>Site</title><p>Version {version}</p>\n",
        }

    def command(self, *words):
        return [str(self.program), "--config", str(self.config), *words]

    def deploy(self):
        return subprocess.Popen(self.command("sync"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def change_site(self, version):
        for name, text in self.site_files(version).items():
            self.origin.write(name, text)
        self.origin.push(f"Site {version}")

    def own_processes(self):
        """The agent, its proxy and its supervisors: whatever runs this copy of the program."""
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and os.readlink(entry / "exe") == str(self.program):
                    yield int(entry.name)

    def app_processes(self):
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and os.readlink(entry / "cwd").startswith(f"{self.folder}/data/"):
                    yield int(entry.name)

    def pss(self):
        """Proportional set size of its own processes together, in MiB."""
        total = 0
        for pid in self.own_processes():
            lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total / 1024

    def stop(self):
        """The agent first: it would start again what is ended below."""
        end(self.process.pid)
        end(*self.own_processes())
        end(*self.app_processes())


WAYS = {"agent": Agent, "restart": Restart, "hup": Hup, "ansible": AnsiblePull}


# -- measuring ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def load_on(way, options):
    """Yields a function that ends the load and returns its report."""
    settings = {"target": f"127.0.0.1:{way.port}", "host": HOST, "rate": options.rate, "contains": "Version"}
    process = subprocess.Popen([options.load, json.dumps(settings)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield lambda: json.loads(process.communicate()[0])
    finally:
        end(process.pid)


def time_to_live(way, version):
    """From the moment when the commit is in the repository that hosts follow, until a fresh request gets its version."""
    way.change(version)
    pushed = time.monotonic()
    deploying = way.deploy()
    live = wait_for(f"version {version}", lambda: version_at(way.port) == str(version))
    deploying.wait()
    return live - pushed


def measure_round(way, version, options):
    """Two changes: one in peace, one under load."""
    quiet = time_to_live(way, version)
    time.sleep(AFTER)
    with load_on(way, options) as finish:
        time.sleep(BEFORE)
        loaded = time_to_live(way, version + 1)
        time.sleep(AFTER)
        return {"quiet": quiet, "loaded": loaded, **finish()}


def measure_site(way, version):
    way.change_site(version)
    pushed = time.monotonic()
    deploying = way.deploy()
    live = wait_for(f"site {version}", lambda: f"Version {version}<" in fetch(way.port, SITE)[1])
    deploying.wait()
    return live - pushed


def measure_agent(way, rounds):
    """What only the agent has."""
    wait_for("the site", lambda: "Version 1<" in fetch(way.port, SITE)[1])
    sites = [measure_site(way, version) for version in range(2, rounds + 2)]
    time.sleep(5)  # idle
    return {
        "site": statistics.median(sites),
        "pss": way.pss(),
        "processes": len(list(way.own_processes())),
        "binary": way.program.stat().st_size / 1e6,
    }


def measure(options):
    """Returns the rounds by way, and what only the agent has."""
    names = [name for name in WAYS if not options.only or name in options.only]
    rounds = {name: [] for name in names}
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="hop3-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        ways = {}
        for name in names:
            print(f"starting {name}", file=sys.stderr)
            ways[name] = WAYS[name](folder / name, options)
            stack.callback(ways[name].stop)
            wait_for(f"{name}, version 1", lambda: version_at(ways[name].port) == "1", seconds=300)
        for number in range(options.rounds):
            for name, way in ways.items():
                result = measure_round(way, 2 * number + 2, options)
                rounds[name].append(result)
                figures = f"{result['quiet']:.2f} s, {result['loaded']:.2f} s under load, {result['failed']} of {result['total']} failed"
                print(f"round {number + 1}, {name}: {figures}", file=sys.stderr)
        agent = measure_agent(ways["agent"], options.rounds) if "agent" in ways else None
    return rounds, agent


# -- the report --------------------------------------------------------------------------------------------------------


def spread(seconds):
    seconds = sorted(seconds)
    return f"**{statistics.median(seconds):.2f} s** ({seconds[0]:.2f}–{seconds[-1]:.2f})"


def row(name, results):
    cells = [
        f"`{name}`: {WAYS[name].__doc__}",
        spread(result["quiet"] for result in results),
        spread(result["loaded"] for result in results),
        f"{sum(result['failed'] for result in results)} of {sum(result['total'] for result in results)}",
        str(sum(result["stale"] for result in results)),
        str(sum(result["retried"] for result in results)),
        f"{max(result['longest_stall'] for result in results):.2f} s",
        f"{max(result['latency']['p999'] for result in results):.0f} ms",
    ]
    return f"| {' | '.join(cells)} |"


def table(rounds):
    lines = [
        "| way | time to live, no load | time to live, under load | failed requests | stale answers | retried | longest stall | p99.9, worst round |",
        "| --- | --: | --: | --: | --: | --: | --: | --: |",
    ]
    return "\n".join(lines + [row(name, results) for name, results in rounds.items()])


def agent_table(agent):
    return "\n".join(
        [
            "| of hop3-agent alone | |",
            "| --- | --: |",
            f"| a changed static page, median time to live | {agent['site']:.2f} s |",
            f"| memory when idle: agent, proxy and supervisors together (Pss, {agent['processes']} processes) | {agent['pss']:.1f} MiB |",
            f"| size of the program | {agent['binary']:.1f} MB |",
        ]
    )


def machine():
    cpu = next((line.partition(":")[2].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    kernel = platform.release().partition("-")[0]
    return f"{os.cpu_count()} × {cpu}, Linux {kernel}, Python {platform.python_version()}"


# -- the command -------------------------------------------------------------------------------------------------------


def make_venv(name, *install):
    """Made once; a half-made one has no marker and is made again."""
    folder = CACHE / "bench" / name
    if not (folder / "complete").exists():
        print(f"installing {name}", file=sys.stderr)
        run(sys.executable, "-m", "venv", "--clear", folder)
        run(folder / "bin" / "pip", "install", "--quiet", *install)
        (folder / "complete").touch()
    return folder


def parse():
    parser = argparse.ArgumentParser(description="Measures the way from a commit to the visitor.")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, with two changes of each way (5)")
    parser.add_argument("--rate", type=int, default=200, help="requests per second (200)")
    parser.add_argument("--only", action="append", choices=WAYS, help="this way only; may be repeated")
    parser.add_argument("--agent", type=pathlib.Path, default=TARGET / "release" / "hop3-agent", help="a release build (%(default)s)")
    parser.add_argument("--load", type=pathlib.Path, default=TARGET / "release" / "examples" / "load", help="the load program (%(default)s)")
    parser.add_argument("--json", type=pathlib.Path, help="also write every round's figures to this file")
    return parser.parse_args()


def check_programs(options):
    wanted = [(options.load, "cargo build --release --example load")]
    if not options.only or "agent" in options.only:
        wanted.append((options.agent, "cargo build --release"))
    for program, command in wanted:
        if not program.exists():
            raise SystemExit(f"{program} is not there; `{command}` builds it")


def main():
    options = parse()
    check_programs(options)
    options.venv = make_venv("app", "--requirement", APP / "requirements.txt")
    options.ansible = make_venv("ansible", "ansible-core==2.19.14")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    rounds, agent = measure(options)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "rounds": rounds, "agent": agent}, indent=2) + "\n")
    print(f"{options.rounds} rounds, {options.rate} requests/s; {machine()}\n")
    print(table(rounds))
    if agent:
        print("\n" + agent_table(agent))


if __name__ == "__main__":
    main()
