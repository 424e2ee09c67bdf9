"""A project of Mix in a git repository, for git's client as plain files; its host's name leads here by git's own settings."""

import pathlib
import subprocess

from common import PACKAGE, VERSIONS

PREFIX = "/git/"

VARIABLES = {
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "url.{base}/git/.insteadOf",
    "GIT_CONFIG_VALUE_0": "https://git.example.org/",
}


def git(directory, *words):
    person = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgSign=false"]
    subprocess.run(["git", *person, *words], cwd=directory, check=True, stdout=subprocess.DEVNULL)


def files(_base, work):
    source = pathlib.Path(work) / "elixir-greeting"
    (source / "lib").mkdir(parents=True)
    git(source, "init", "--quiet")
    for version, word in VERSIONS.items():
        project = f'[app: :greeting, version: "{version}"]'
        (source / "mix.exs").write_text(
            f"defmodule Greeting.MixProject do\n  use Mix.Project\n  def project, do: {project}\nend\n"
        )
        (source / "lib/greeting.ex").write_text(
            f'defmodule Greeting do\n  def greet(name), do: "{word} " <> name\nend\n'
        )
        git(source, "add", "--all")
        git(source, "commit", "--quiet", "--message", version)
        git(source, "tag", f"v{version}")
    git(source, "update-server-info")
    root = source / ".git"
    found = {}
    for path in root.rglob("*"):
        if path.is_file():
            name = str(path.relative_to(root))
            kind = PACKAGE if name.startswith("objects/") else "text/plain"
            found["/git/greeting.git/" + name] = (kind, path.read_bytes())
    return found
