"""Gems in the full index that `gem` itself generates, and `rackup`, a server for Rack apps that is as small as one can be."""

import pathlib
import subprocess

from common import PACKAGE, VERSIONS

PREFIX = "/gems/"

VARIABLES = {"BUNDLE_MIRROR__ALL": "{base}/gems/"}

SERVER = r"""#!/usr/bin/env ruby
require "optparse"
require "socket"

host, port = "127.0.0.1", 9292
OptionParser.new do |it|
  it.on("--host HOST") { |given| host = given }
  it.on("--port PORT", Integer) { |given| port = given }
end.parse!

class Builder
  attr_reader :app

  def run(app)
    @app = app
  end
end

builder = Builder.new
builder.instance_eval(File.read("config.ru"), "config.ru")
server = TCPServer.new(host, port)
loop do
  Thread.new(server.accept) do |socket|
    verb, path = socket.gets.to_s.split
    nil until socket.gets.to_s.strip.empty?
    status, headers, body = builder.app.call({ "REQUEST_METHOD" => verb, "PATH_INFO" => path })
    text = body.to_a.join
    lines = headers.merge("content-length" => text.bytesize, "connection" => "close")
    socket.write("HTTP/1.1 #{status} Said\r\n", *lines.map { |key, value| "#{key}: #{value}\r\n" }, "\r\n", text)
    socket.close
  end
end
"""


def build(work, name, version, files, executables=()):
    source = work / f"gem-{name}-{version}"
    for path, text in files.items():
        file = source / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755 if path.startswith("bin/") else 0o644)
    listed = " ".join(files)
    (source / "it.gemspec").write_text(
        f"Gem::Specification.new {{ |s| s.name = '{name}'; s.version = '{version}'; s.summary = 'A package'; "
        f"s.authors = ['Somebody']; s.bindir = 'bin'; s.files = %w[{listed}]; "
        f"s.executables = %w[{' '.join(executables)}] }}\n"
    )
    target = work / "gems" / "gems" / f"{name}-{version}.gem"
    run(["gem", "build", "it.gemspec", "--output", str(target)], source)


def run(words, directory):
    subprocess.run(words, cwd=directory, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def files(_base, work):
    root = pathlib.Path(work) / "gems"
    (root / "gems").mkdir(parents=True)
    for version, word in VERSIONS.items():
        text = f"module Greeting\n  def self.greet(name)\n    \"{word} #{{name}}\"\n  end\nend\n"
        build(pathlib.Path(work), "greeting", version, {"lib/greeting.rb": text})
    build(pathlib.Path(work), "rackup", "1.0.0", {"bin/rackup": SERVER}, ["rackup"])
    run(["gem", "generate_index", "--directory", str(root)], root)
    found = {}
    for path in root.rglob("*"):
        if path.is_file():
            kind = PACKAGE if path.suffix == ".gem" else "application/x-index"
            found["/gems/" + str(path.relative_to(root))] = (kind, path.read_bytes())
    return found
