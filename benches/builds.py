#!/usr/bin/env python3
"""Measures what the agent adds to a build: its `build` step beside the very commands of its plan, run by hand in a fresh checkout.

    benches/builds.py               prints a table in Markdown; about 5 minutes
    benches/builds.py --rounds 3    fewer rounds
    benches/builds.py --profile ci  another build of the agent

A round changes the code and the lock file of each app, so that its dependencies are installed anew, then builds it in both ways, in turn who comes
first. Both have warm download caches of their own. At the end both ways build two apps that were changed by one commit, to tell whether the agent builds them side by side.
Before: cargo build --release --bin hop3-agent. The package registries of the languages are needed.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import tempfile
import time

from deploy import Origin, end, run, wait_for
from validate import TARGET

STEP = re.compile(r"The step is done\. app=(\S+) step=\"build\" milliseconds=(\d+)")
PATIENCE = 300

NODE_SERVER = 'import ms from "ms";\nconst edition: string = "EDITION";\nconsole.log(edition, ms("2 days"));\nsetInterval(() => {}, 1000);\n'
GO_MAIN = 'package main\n\nimport (\n\t"fmt"\n\t"github.com/google/uuid"\n)\n\nfunc main() { fmt.Println("EDITION", uuid.Nil); select {} }\n'


def node(edition):
    """TypeScript with a locked dependency; npm itself writes the lock."""
    package = {
        "name": "node-app",
        "version": f"1.0.{edition}",
        "private": True,
        "type": "module",
        "scripts": {"build": "tsc", "start": "node dist/server.js"},
        "dependencies": {"ms": "2.1.3"},
        "devDependencies": {"@types/ms": "0.7.34", "@types/node": "20.17.10", "typescript": "5.7.2"},
    }
    options = {"compilerOptions": {"outDir": "dist", "module": "nodenext", "target": "es2022", "strict": True}, "include": ["src"]}
    return {
        "package.json": json.dumps(package),
        "tsconfig.json": json.dumps(options),
        "src/server.ts": NODE_SERVER.replace("EDITION", str(edition)),
    }


def python(edition):
    """A virtual environment with Flask and what it needs."""
    return {
        "requirements.txt": f"# edition {edition}\nflask==3.0.3\ngunicorn==22.0.0\n",
        "app.py": f"print({edition})\nimport time\ntime.sleep(10 ** 6)\n",
    }


def go(edition):
    """A module that is compiled; its dependency stays."""
    return {"go.mod": "module example.org/shop\n\ngo 1.21\n\nrequire github.com/google/uuid v1.5.0\n", "main.go": GO_MAIN.replace("EDITION", str(edition))}


LOCKS = {
    "node-app": ["npm", "install", "--package-lock-only", "--silent"],
    "go-app": ["go", "mod", "tidy"],
}
APPS = {"node-app": node, "python-app": python, "go-app": go}
STARTS = {"python-app": "exec python3 app.py"}


def spec(app):
    start = f'\n[run]\nstart = "{STARTS[app]}"\n' if app in STARTS else ""
    # Nothing is waited for after the build: what it costs to become healthy is measured elsewhere.
    return f'[metadata]\nid = "{app}"\n{start}'


class Bench:
    def __init__(self, folder, program):
        self.folder = folder
        # A copy, by which its processes are known.
        self.program = shutil.copy(program, folder)
        self.origin = Origin(folder, {"hosts/bench.toml": 'apps = ["*"]\n'})
        self.edition = 0
        self.caches = folder / "caches"
        self.log = folder / "agent.log"
        settings = f'host = "bench"\ndata-dir = "{folder}/data"\nrun-dir = "{folder}/run"\nlisten = ""\ntool-path = {json.dumps(os.environ["PATH"].split(":"))}\n\n[repo]\nurl = "file://{self.origin.bare}"\npoll = "1h"\n\n[policy]\nusers = "none"\n'
        self.settings = folder / "agent.toml"
        self.settings.write_text(settings)
        self.agent = None

    def change(self, *apps):
        """Another edition of these apps, with their locks, pushed."""
        self.edition += 1
        for app in apps:
            for name, text in {**APPS[app](self.edition), "hop3.toml": spec(app)}.items():
                self.origin.write(f"apps/{app}/{name}", text)
            if app in LOCKS:
                run(*LOCKS[app], cwd=self.origin.clone / "apps" / app)
        self.origin.push(f"Edition {self.edition}")

    def start(self):
        self.log.touch()
        command = [self.program, "--config", self.settings, "-v", "run"]
        self.agent = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=self.log.open("a"), env=os.environ | {"NO_COLOR": "1"})
        wait_for("the agent", lambda: self.call("status").returncode in (0, 3))

    def call(self, *words):
        return subprocess.run(list(map(str, [self.program, "--config", self.settings, *words])), capture_output=True, text=True)

    def by_agent(self):
        """Seconds of the `build` step of each app that the newest commit changed, and of all of it."""
        before = len(STEP.findall(self.log.read_text()))
        began = time.monotonic()
        self.call("sync", "--wait")
        took = time.monotonic() - began
        found = STEP.findall(self.log.read_text())[before:]
        return {app: int(milliseconds) / 1000 for app, milliseconds in found}, took

    def commands(self, app):
        """The plan's own commands: those of the layers, then those of the release."""
        text = self.call("plan", "--repo", self.origin.clone, "--host", "bench", "--json").stdout
        steps = [step["action"] for change in json.loads(text)["changes"] if change["app"] == app for step in change["steps"]]
        plan = next(action["plan"] for action in steps if action["do"] == "build")
        layers = [step for layer in plan.get("layers", []) for step in layer["steps"]]
        return [step["command"]["argv"] for step in layers + plan.get("steps", [])], plan.get("env", {})

    def by_hand(self, app):
        """Seconds of the same commands in a fresh copy of the source."""
        argvs, variables = self.commands(app)
        place = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        began = time.monotonic()
        source = place / "app"
        shutil.copytree(self.origin.clone / "apps" / app, source)
        cache = self.caches / app
        cache.mkdir(parents=True, exist_ok=True)

        def filled(text):
            layer = str(place / "layer")
            text = re.sub(r"\$\{layer(:[^}]*)?\}", layer, text)
            return text.replace("${app}", str(source)).replace("${cache}", str(cache))

        env = {"PATH": os.environ["PATH"], "HOME": str(cache)} | {key: filled(value) for key, value in variables.items()}
        for argv in argvs:
            run(*map(filled, argv), cwd=source, env=env)
        took = time.monotonic() - began
        subprocess.run(["chmod", "-R", "u+w", place], check=True)
        shutil.rmtree(place)
        return took

    def end(self):
        """The agent first: it would start again what is ended below. Whatever runs its copy, or in its directories, is its own."""
        if self.agent:
            end(self.agent.pid)
            self.agent.wait()
        for link in ("exe", "cwd"):
            end(*(int(it.parent.name) for it in pathlib.Path("/proc").glob(f"[0-9]*/{link}") if self.has(it)))

    def has(self, link):
        try:
            return link.readlink().is_relative_to(self.folder)
        except OSError:
            return False


def row(app, hand, agent):
    bare, built = statistics.median(hand), statistics.median(agent)
    more = built - bare
    print(f"| {app} | {bare:.2f} s ({min(hand):.2f}–{max(hand):.2f}) | {built:.2f} s ({min(agent):.2f}–{max(agent):.2f}) | {more * 1000:+.0f} ms, {more / bare:+.1%} |")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--profile", default="release")
    options = options.parse_args()
    program = TARGET / options.profile / "hop3-agent"
    with tempfile.TemporaryDirectory(prefix="h3-builds-") as folder:
        bench = Bench(pathlib.Path(folder), program)
        try:
            measure(bench, options.rounds)
        finally:
            bench.end()


def measure(bench, rounds):
    bench.change(*APPS)
    bench.start()
    bench.by_agent()
    for app in APPS:
        bench.by_hand(app)
    print("| app | its commands by hand | the agent's build | more |\n| --- | --: | --: | --: |")
    for app in APPS:
        hand, agent = [], []
        for number in range(rounds):
            bench.change(app)
            ways = [lambda: hand.append(bench.by_hand(app)), lambda: agent.append(bench.by_agent()[0][app])]
            for way in ways if number % 2 else reversed(ways):
                way()
        row(app, hand, agent)
    bench.change("node-app", "python-app")
    apart, together = bench.by_agent()
    print(f"\nTwo apps changed by one commit: {' and '.join(f'{seconds:.2f} s' for seconds in apart.values())} of building, live after {together:.2f} s.")


if __name__ == "__main__":
    main()
