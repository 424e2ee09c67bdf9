#!/usr/bin/env python3
"""Measures what the number of apps costs: an agent with 10, 1 000 and 10 000 deployed static apps, beside git and a bare parse of the same files.

    benches/scale.py                        prints the tables of docs/BENCHMARKS.md; about 5 minutes
    benches/scale.py --apps 10 1000         other numbers
    benches/scale.py --profile ci           another build

Everything is built before: cargo build --release --bin hop3-agent --example specs
"""

import argparse
import json
import os
import pathlib
import platform
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from validate import TARGET, measured, processor_name

LOOKS = 300
PAUSE = 0.03  # between two looks: each is over long before
CHANGES = 10
IDLE = 30


def git(where, *arguments):
    identity = {"GIT_AUTHOR_NAME": "bench", "GIT_AUTHOR_EMAIL": "bench@example.org"}
    identity |= {key.replace("AUTHOR", "COMMITTER"): value for key, value in identity.items()}
    return subprocess.run(["git", "-C", where, *arguments], check=True, capture_output=True, text=True, env=os.environ | identity).stdout


def write_app(root, number, greeting):
    public = root / "apps" / f"app-{number}" / "public"
    public.mkdir(parents=True, exist_ok=True)
    (public / "index.html").write_text(f"<h1>{greeting} {number}</h1>\n")
    (public.parent / "hop3.toml").write_text(
        f'[metadata]\nid = "app-{number}"\ntitle = "App number {number}"\n\n'
        f'[build]\ntoolchain = "static"\nstatic-dir = "public"\n\n'
        f'[domains]\nlist = ["app-{number}.localhost"]\n\n[env]\nGREETING = "{greeting} {number}"\n'
    )


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def processor_time(pid):
    """Seconds of all threads that a process has had, in hundredths."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def status(pid, field):
    """A field of /proc/PID/status in MiB."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB", text, re.M).group(1)) / 1024


class Agent:
    """A running agent, and what it says of itself."""

    def __init__(self, binary, directory):
        self.binary, self.directory = binary, directory
        self.log = directory / "agent.log"

    def start(self):
        """Starts it and waits until it rests. Seconds until then."""
        began = time.monotonic()
        with self.log.open("w") as log:
            self.process = subprocess.Popen([*self.command, "-v", "run"], stdout=log, stderr=log)
        while "sock" not in str(list(self.directory.glob("run/agent.sock"))):
            self.wait_a_little()
        self.sync()
        return time.monotonic() - began

    def wait_a_little(self):
        if self.process.poll() is not None:
            raise SystemExit(f"the agent ended:\n{self.log.read_text()[-3000:]}")
        time.sleep(0.005)

    @property
    def command(self):
        return [self.binary, "--config", self.directory / "agent.toml"]

    @property
    def pid(self):
        return self.process.pid

    def sync(self, wait=True):
        """Has it look at the config repo, over its socket; waits until it rests, and takes its whole status as the answer."""
        with socket.socket(socket.AF_UNIX) as control:
            while True:
                try:
                    control.connect(str(self.directory / "run" / "agent.sock"))
                    break
                except OSError:
                    self.wait_a_little()
            control.sendall(b'{"request":"sync","wait":%s}\n' % (b"true" if wait else b"false"))
            answer = control.makefile().readline()
        if '"ok"' not in answer and "error" in answer[:40]:
            raise SystemExit(answer[:500])

    def told(self, message):
        """The microseconds of all lines with this message."""
        text = re.sub(r"\x1b\[[0-9;]*m", "", self.log.read_text())
        return [int(found) for found in re.findall(rf"{message}.*?microseconds=(\d+)", text)]

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def end(self):
        """Ends it and its proxy, which would outlive it."""
        self.stop()
        for process in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if str(self.directory) in process.read_text():
                    os.kill(int(process.parent.name), signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                pass


def children_time():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def timed(command, times=1):
    """Median seconds, mean processor time, and most memory in MiB."""
    clocks, before = [], children_time()
    for _ in range(times):
        began = time.monotonic()
        subprocess.run(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        clocks.append(time.monotonic() - began)
    return statistics.median(clocks), (children_time() - before) / times


def measure(binary, example, apps, scratch):
    root, bare, directory = scratch / f"work-{apps}", scratch / f"repo-{apps}.git", scratch / f"agent-{apps}"
    for number in range(apps):
        write_app(root, number, "hello")
    git(scratch, "init", "-q", "-b", "main", str(root))
    git(root, "add", ".")
    git(root, "commit", "-qm", "all apps")
    git(scratch, "clone", "-q", "--bare", str(root), str(bare))
    directory.mkdir()
    (directory / "agent.toml").write_text(
        f'host = "h1"\ndata-dir = "{directory}/data"\nrun-dir = "{directory}/run"\nlisten = "127.0.0.1:{free_port()}"\n'
        f'[repo]\nurl = "file://{bare}"\npoll = "1h"\n[policy]\nusers = "none"\n'
        f'[plugin.builtin-proxy]\nlisten = ["127.0.0.1:{free_port()}"]\n'
    )
    agent, result = Agent(binary, directory), {"apps": apps}
    result["deploy"] = agent.start()
    result["deploy-cpu"] = processor_time(agent.pid)
    agent.stop()

    # Cold: everything runs, and an agent that knows nothing begins.
    result["cold"] = agent.start()
    result["cold-cpu"], result["cold-peak"] = processor_time(agent.pid), status(agent.pid, "VmHWM")
    result["cold-read"], result["cold-plan"] = agent.told("The commit was read")[0] / 1000, agent.told("Planned")[-1] / 1000
    time.sleep(3)
    result["rest"] = status(agent.pid, "RssAnon")

    # A look that finds nothing new.
    before = processor_time(agent.pid)
    for _ in range(LOOKS):
        agent.sync(wait=False)
        time.sleep(PAUSE)
    result["look-cpu"] = (processor_time(agent.pid) - before) / LOOKS * 1e3
    result["ls-remote"], result["ls-remote-cpu"] = (value * 1e3 for value in timed(["git", "ls-remote", f"file://{bare}", "main"], 20))

    # One app's change, from the commit to the end.
    clocks, reads, plans, processor, fetches = [], [], [], [], []
    mirror = scratch / f"mirror-{apps}.git"
    git(scratch, "clone", "-q", "--bare", "--depth", "1", f"file://{bare}", str(mirror))
    for change in range(CHANGES):
        write_app(root, change % apps, f"change {change}")
        git(root, "commit", "-qam", f"change {change}")
        git(root, "push", "-q", str(bare), "main")
        read, planned = len(agent.told("The commit was read")), len(agent.told("Planned"))
        before, began = processor_time(agent.pid), time.monotonic()
        agent.sync()
        clocks.append((time.monotonic() - began) * 1e3)
        processor.append((processor_time(agent.pid) - before) * 1e3)
        reads.append(agent.told("The commit was read")[read] / 1000)
        plans.append(agent.told("Planned")[planned] / 1000)
        fetches.append(timed(["git", "-C", mirror, "fetch", "-q", "--depth", "1", f"file://{bare}", "main"]))
    result |= {"change": statistics.median(clocks), "read": statistics.median(reads), "plan": statistics.median(plans)}
    result["warm"] = statistics.median(sum(pair) for pair in zip(reads, plans))
    result["change-cpu"] = statistics.median(processor)
    result["fetch"], result["fetch-cpu"] = (statistics.median(value) * 1e3 for value in zip(*fetches))

    # Doing nothing.
    before = processor_time(agent.pid)
    time.sleep(IDLE)
    result["idle"] = (processor_time(agent.pid) - before) / IDLE * 100
    result["rest-after"] = status(agent.pid, "RssAnon")

    # `plan` of a work tree in a process of its own, and a bare parse of the same files.
    out = scratch / "plan.json"
    result["whole"], result["whole-cpu"], result["whole-memory"] = measured([binary, "plan", "--repo", root, "--out", out], codes=(2,))
    result["parse"] = json.loads(subprocess.run([example, "parse", root], check=True, capture_output=True, text=True).stdout)["one-thread-ms"]
    agent.end()
    for path in (root, bare, directory, mirror):
        shutil.rmtree(path)
    return result


ROWS = (
    ("all apps come up on a fresh host", "{deploy:.1f} s"),
    ("… CPU of the agent", "{deploy-cpu:.1f} s"),
    ("**a look that finds nothing new**: CPU", "**{look-cpu:.2f} ms**"),
    ("`git ls-remote` for one branch: CPU", "{ls-remote-cpu:.1f} ms"),
    ("… on the clock", "{ls-remote:.1f} ms"),
    ("**one app's commit: read and planned** in a running agent", "**{warm:.1f} ms**"),
    ("… of which reading what changed", "{read:.1f} ms"),
    ("… of which planning", "{plan:.1f} ms"),
    ("from the question to the new page: look, fetch, read, plan, build, switch", "{change:.0f} ms"),
    ("… CPU of the agent, without the fetching child", "{change-cpu:.0f} ms"),
    ("`git fetch` of that commit", "{fetch:.0f} ms"),
    ("an agent starts while all apps run: until it rests", "{cold:.2f} s"),
    ("… CPU", "{cold-cpu:.2f} s"),
    ("… of which reading the commit", "{cold-read:.0f} ms"),
    ("… of which the last plan", "{cold-plan:.1f} ms"),
    ("… most memory (peak RSS)", "{cold-peak:.0f} MiB"),
    ("its own memory at rest (anonymous RSS)", "{rest:.0f} MiB"),
    ("… after the ten commits", "{rest-after:.0f} MiB"),
    ("`plan --repo` in a process of its own, as if on a fresh host", "{whole:.2f} s"),
    ("… CPU", "{whole-cpu:.2f} s"),
    ("… most memory", "{whole-memory:.0f} MiB"),
    ("bare TOML parse of the same files, one thread", "{parse:.0f} ms"),
    ("doing nothing, looks in rotation included: share of one processor", "{idle:.2f} %"),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--apps", type=int, nargs="+", default=[10, 1000, 10_000])
    parser.add_argument("--profile", default="release", help="which build is measured")
    parser.add_argument("--binary", type=pathlib.Path)
    options = parser.parse_args()
    binary = options.binary or TARGET / options.profile / "hop3-agent"
    example = TARGET / options.profile / "examples" / "specs"
    with tempfile.TemporaryDirectory() as scratch:
        results = [measure(binary, example, apps, pathlib.Path(scratch)) for apps in options.apps]
    print(f"{processor_name()}, Linux {platform.release()}, load average {os.getloadavg()[0]:.1f}\n")
    print("| | " + " | ".join(f"{result['apps']:,} apps".replace(",", " ") for result in results) + " |")
    print("| --- |" + " --: |" * len(results))
    for name, form in ROWS:
        print(f"| {name} | " + " | ".join(form.format(**result) for result in results) + " |")


if __name__ == "__main__":
    sys.exit(main())
