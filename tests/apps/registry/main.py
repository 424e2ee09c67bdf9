"""A registry on loopback with two versions of the package `greeting`, whose `greet` says "hello" in 1.0.0 and "good day" in 2.0.0.

Prints its address and serves until it is ended. Each form of package has a module beside this one, with
  VARIABLES  what leads the tools here, `{base}` standing for the address
  PREFIX     of all its paths, where making them takes tools and time (optional)
  files(base, work)  {path: (content type, bytes)}; `work` is a directory to make packages in
Counts what is fetched: every answer of the type `PACKAGE`.
"""

import http.server
import importlib
import pathlib
import sys
import threading

from common import PACKAGE


def forms():
    here = pathlib.Path(__file__).parent
    names = sorted(path.stem for path in here.glob("*_packages.py"))
    return [importlib.import_module(name) for name in names]


class Registry(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, work):
        super().__init__(("127.0.0.1", 0), Answer)
        self.base = "http://%s:%d" % self.server_address
        self.fetched = 0
        self.lock = threading.Lock()
        self.files = {}
        self.work = work
        self.later = []
        lines = []
        for form in forms():
            if hasattr(form, "PREFIX"):
                self.later.append(form)
            else:
                self.files.update(form.files(self.base, work))
            lines += [f"{key}={value}" for key, value in form.VARIABLES.items()]
        self.variables = "\n".join(lines).encode()

    def make(self, path):
        """What takes tools and time is made when the first of it is asked for."""
        with self.lock:
            for form in [form for form in self.later if path.startswith(form.PREFIX)]:
                self.files.update(form.files(self.base, self.work))
                self.later.remove(form)

    def answer(self, path):
        if path == "/fetched":
            return "text/plain", str(self.fetched).encode()
        if path == "/variables":
            return "text/plain", self.variables
        self.make(path)
        kind, content = self.files.get(path) or self.files.get(path + "/") or (None, None)
        if kind == PACKAGE:
            with self.lock:
                self.fetched += 1
        return kind, content


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        kind, content = self.server.answer(self.path.partition("?")[0])
        body = b"there is no such package" if kind is None else content
        self.send_response(404 if kind is None else 200)
        self.send_header("Content-Type", kind or "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


def main():
    registry = Registry(pathlib.Path(sys.argv[1]))
    print("%s:%d" % registry.server_address, flush=True)
    registry.serve_forever()


if __name__ == "__main__":
    main()
