"""Answers every request with what it was made from."""

import os
import platform
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import idna

with open("COMMIT", encoding="utf-8") as file:
    COMMIT = file.read().strip()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = " ".join(["one", COMMIT, idna.__version__, idna.encode("bücher.example").decode(), platform.python_version()])
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(body.encode())


ThreadingHTTPServer((os.environ["BIND_ADDRESS"], int(os.environ["PORT"])), Handler).serve_forever()
