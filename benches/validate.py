#!/usr/bin/env python3
"""Measures `hop3-agent validate` on a config repo of many apps, beside a bare parse of the same files and beside taplo.

    benches/validate.py                       10 000 apps; prints the table of docs/BENCHMARKS.md
    benches/validate.py --apps 1000 --rounds 3
    benches/validate.py --keep DIR            leaves the generated config repo there

Everything is built before: cargo build --release --bin hop3-agent --example specs
"""

import argparse
import json
import os
import pathlib
import platform
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

REPO = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "hop3-agent"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or CACHE / "target")
TAPLO_FILES = 1000  # taplo is measured on so many and its time told for all

LANGUAGES = ("python", "static", "generic")  # those of every build, so that nothing has to be said


def spec(number, chance):
    """A spec as a person would write it, different from all others; about 40 lines."""
    language = LANGUAGES[number % len(LANGUAGES)]
    lines = [
        f"# App {number}: what it is for, and whom to ask.",
        "[metadata]",
        f'id = "app-{number}"',
        f'title = "App number {number}"',
        f'description = "Serves team {chance.randrange(50)}."',
        f'tags = ["team-{chance.randrange(50)}", "{language}"]',
        "",
        "[build]",
        f'toolchain = "{language}"',
        'before-build = ["./scripts/prepare", "./scripts/check"]',
        f'timeout = "{chance.randrange(1, 60)}m"',
        "",
        "[run]",
        f'start = "exec ./serve --port $PORT --workers {chance.randrange(1, 9)}"',
        'before-run = "./migrate"',
        f"start-timeout = {chance.randrange(10, 120)}",
        "",
        "[run.workers]",
        'mailer = "exec ./mailer"',
        f'queue = "exec ./queue --name q{number}"',
        "",
        "[healthcheck]",
        'path = "/health"',
        "successes = 2",
        "",
        "[deploy]",
        f'drain-timeout = "{chance.randrange(1, 60)}s"',
        f"keep-releases = {chance.randrange(1, 9)}",
    ]
    if number % 10 == 9:
        lines.append(f'after = ["app-{number - 1}"]')
    lines += [
        "",
        "[domains]",
        f'list = ["app-{number}.example", "www.app-{number}.example"]',
        "",
        "[env]",
        f'LOG_LEVEL = "{chance.choice(("debug", "info", "warning"))}"',
        f"POOL = {chance.randrange(1, 64)}",
        f'REGION = "eu-{chance.randrange(1, 5)}"',
        'SECRET_KEY = { generate = "urlsafe", length = 48 }',
        "",
        "[env.computed]",
        'TITLE = "${REGION}: ${LOG_LEVEL}"',
        "",
        "[limits]",
        f'memory = "{chance.randrange(64, 2048)}M"',
    ]
    if number % 3 == 0:
        lines += ["", "[[addons]]", 'type = "sqlite"', "", "[scale]", f"web = {chance.randrange(1, 5)}"]
    return "\n".join(lines) + "\n"


def generate(root, apps):
    chance = random.Random(20260)
    for number in range(apps):
        directory = root / "apps" / f"app-{number}"
        directory.mkdir(parents=True)
        (directory / "hop3.toml").write_text(spec(number, chance))
    hosts = root / "hosts"
    hosts.mkdir()
    for host in range(4):  # four hosts with half of the apps each, and one with all
        (hosts / f"web{host}.toml").write_text(f'apps = ["app-*{2 * host}", "app-*{2 * host + 1}", "app-1*"]\n')
    (hosts / "all.toml").write_text("")
    return sum(file.stat().st_size for file in root.glob("apps/*/hop3.toml"))


def measured(command, cwd=None, codes=(0,)):
    """Seconds on the clock and of processor time, and the most memory in MiB, of one run."""
    started = time.monotonic()
    process = subprocess.Popen(list(map(str, command)), cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    clock = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in codes:
        raise SystemExit(f"{command}: exit {process.returncode}\n{said}")
    return clock, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def rounds(count, command, **options):
    runs = [measured(command, **options) for _ in range(count)]
    clock, processor, memory = (list(values) for values in zip(*runs))
    return {"clock": statistics.median(clock), "least": min(clock), "processor": statistics.median(processor), "memory": max(memory)}


def document(*command):
    return json.loads(subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout)


def taplo_command():
    script = CACHE / "taplo" / "node_modules" / "@taplo" / "cli" / "dist" / "cli.js"
    if shutil.which("taplo"):
        return ["taplo"]
    return ["node", script] if script.is_file() else None


def taplo(root, binary, apps, schema):
    command = taplo_command()
    if command is None:
        return None
    files = sorted(root.glob("apps/*/hop3.toml"))[: min(apps, TAPLO_FILES)]
    options = ["--schema", f"file://{schema}"] if schema else ["--no-schema"]
    clock, processor, memory = measured([*command, "lint", "--no-auto-config", *options, *files], cwd=root)
    return {"files": len(files), "clock": clock, "processor": processor, "memory": memory}


def row(what, clock, processor, memory):
    cells = (f"{clock:.2f} s" if clock >= 0.1 else f"{clock * 1000:.1f} ms", processor, memory)
    return f"| {what} | {' | '.join(cells)} |"


def report(options, root, size):
    binary, example = TARGET / options.profile / "hop3-agent", TARGET / options.profile / "examples" / "specs"
    validate = rounds(options.rounds, [binary, "validate", root])
    as_json = rounds(options.rounds, [binary, "validate", "--json", root])
    bare = document(example, "parse", root)
    changed = document(example, "changed", root)
    schema = root / "hop3.json"
    schema.write_bytes(subprocess.run([binary, "schema", "hop3"], check=True, capture_output=True).stdout)
    print(f"{options.apps} specs, {size / options.apps:.0f} bytes each, {options.rounds} rounds; {processor_name()}, Linux {platform.release()}, "
          f"load average {os.getloadavg()[0]:.1f}\n")
    print("| what | on the clock | processor time | most memory |\n| --- | --: | --: | --: |")
    for what, runs in (("`hop3-agent validate`, process start to exit", validate), ("the same with `--json`", as_json)):
        clock = f"{runs['clock']:.2f} s (least {runs['least']:.2f} s)"
        print(f"| {what} | {clock} | {runs['processor']:.2f} s | {runs['memory']:.0f} MiB |")
    print(f"| bare TOML parse of the same files, {bare['threads']} threads | {bare['all-threads-ms'] / 1000:.2f} s | | |")
    print(f"| bare TOML parse of the same files, one thread | {bare['one-thread-ms'] / 1000:.2f} s | | |")
    for what, schema in (("`taplo lint` without a schema", None), ("`taplo lint` with the schema", schema)):
        run = taplo(root, binary, options.apps, schema)
        if run is None:
            print("(there is no taplo; npm install --prefix ~/.cache/hop3-agent/taplo @taplo/cli)")
            break
        print(f"| {what}, {run['files']} files | {run['clock']:.2f} s | {run['processor']:.2f} s | {run['memory']:.0f} MiB |")
    print(f"\nA changed file in a running agent: median {changed['median-us']:.0f} µs, 99 % within {changed['p99-us']:.0f} µs "
          f"({changed['changes']} changes).")
    return validate


def processor_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{os.cpu_count()} × {line.split(':', 1)[1].strip()}"
    return f"{os.cpu_count()} processors"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--apps", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", default="release", help="which build is measured")
    parser.add_argument("--keep", type=pathlib.Path, help="leave the generated config repo here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = options.keep or pathlib.Path(scratch) / "repo"
        if not (root / "apps").is_dir():
            root.mkdir(parents=True, exist_ok=True)
            generate(root, options.apps)
        size = sum(file.stat().st_size for file in root.glob("apps/*/hop3.toml"))
        report(options, root, size)


if __name__ == "__main__":
    sys.exit(main())
