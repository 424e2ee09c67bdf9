"""A small HTTP/1.1 server: one thread per connection, keep-alive, and an end in which no request gets lost.

The standard library's `http.server` would do as well, but it takes as long to import as everything else here together, and a deploy waits for that.
"""

import os
import select
import signal
import socket
import sys
import threading
import time

MAX_HEAD = 16 * 1024
MAX_BODY = 64 * 1024
IDLE_SECONDS = 75  # longer than proxies keep idle connections, so that it is they who close them
READ_SECONDS = 30

REASONS = {
    200: "OK",
    201: "Created",
    303: "See Other",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Request:
    def __init__(self, method, target, version, headers):
        self.method = method
        self.path, _, self.query = target.partition("?")
        self.headers = headers
        self.body = b""
        connection = headers.get("connection", "").lower()
        self.keep_alive = "close" not in connection and (version == "HTTP/1.1" or "keep-alive" in connection)


class Response:
    def __init__(self, status, body="", content_type="text/plain; charset=utf-8", headers=()):
        self.status = status
        self.body = body.encode("utf-8")
        self.headers = [("Content-Type", content_type), ("Content-Length", str(len(self.body))), *headers]

    def to_bytes(self, extra_headers, with_body):
        lines = [f"HTTP/1.1 {self.status} {REASONS[self.status]}"]
        lines += [f"{name}: {value}" for name, value in [*self.headers, *extra_headers]]
        head = "\r\n".join(lines) + "\r\n\r\n"
        return head.encode("latin-1") + (self.body if with_body else b"")


class Refused(Exception):
    """The request is not understood: it is answered with this status, and the connection closed."""

    def __init__(self, status):
        super().__init__(status)
        self.status = status


class Connection:
    """The requests of one client, one after the other."""

    def __init__(self, sock, server):
        self.sock = sock
        self.server = server
        self.buffer = b""

    def serve(self):
        self.sock.settimeout(READ_SECONDS)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while self.wait_for_request():
                if not self.serve_one():
                    self.close_politely()
                    return
        except OSError:
            pass  # the client went away or stopped reading
        finally:
            self.sock.close()

    def wait_for_request(self):
        """True when bytes are there; false when the client is idle for long or the server is ending."""
        if self.buffer:
            return True
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        poll.register(self.server.ending, select.POLLIN)
        ready = dict(poll.poll(IDLE_SECONDS * 1000))
        return self.sock.fileno() in ready

    def serve_one(self):
        try:
            request = self.read_request()
        except Refused as refusal:
            self.send(Response(refusal.status, REASONS[refusal.status]), keep_alive=False)
            return False
        if request is None:
            return False
        response = self.server.respond(request)
        keep_alive = request.keep_alive and not self.server.is_ending()
        self.send(response, keep_alive, with_body=request.method != "HEAD")
        return keep_alive

    def read_request(self):
        head = self.read_head()
        if head is None:
            return None
        request = parse_head(head)
        request.body = self.read_body(request.headers)
        return request

    def read_head(self):
        while b"\r\n\r\n" not in self.buffer:
            if len(self.buffer) > MAX_HEAD:
                raise Refused(431)
            if not self.receive():
                return None
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        return head

    def read_body(self, headers):
        if "transfer-encoding" in headers:
            raise Refused(411)
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise Refused(400)
        if int(length) > MAX_BODY:
            raise Refused(413)
        if headers.get("expect", "").lower() == "100-continue":
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while len(self.buffer) < int(length):
            if not self.receive():
                raise ConnectionError("the client left in the middle of a body")
        body, self.buffer = self.buffer[: int(length)], self.buffer[int(length) :]
        return body

    def receive(self):
        received = self.sock.recv(65536)
        self.buffer += received
        return bool(received)

    def send(self, response, keep_alive, with_body=True):
        connection = ("Connection", "keep-alive" if keep_alive else "close")
        self.sock.sendall(response.to_bytes([*self.server.headers, connection], with_body))

    def close_politely(self):
        """Closing at once, with bytes unread, would reset the connection and could take the answer with it."""
        self.sock.shutdown(socket.SHUT_WR)
        self.sock.settimeout(1)
        while self.sock.recv(65536):
            pass


class Server:
    """Answers requests with `handle(request) -> Response` until the process is told to end by TERM or INT."""

    def __init__(self, address, handle, headers=()):
        self.handle = handle
        self.headers = list(headers)
        self.listener = socket.create_server(address, backlog=512)
        self.listener.setblocking(False)
        # Closing `end` makes `ending` readable for every thread at once, and for good.
        self.ending, self.end = socket.socketpair()

    def run(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.end.close())
        poll = select.poll()
        poll.register(self.listener, select.POLLIN)
        poll.register(self.ending, select.POLLIN)
        while not self.is_ending():
            poll.poll(1000)  # not for ever: a signal just before the call would go unnoticed
            self.accept_waiting()
        self.accept_waiting()
        self.listener.close()
        # Threads are not daemons: the process ends when the last one has answered.

    def accept_waiting(self):
        """Takes every connection that waits, so that at the end none is left behind in the queue."""
        while True:
            try:
                sock, _ = self.listener.accept()
            except BlockingIOError:
                return
            except OSError as error:  # a connection that is gone again, or no descriptor left for it
                print(f"accept: {error}", file=sys.stderr, flush=True)
                time.sleep(0.01)
                return
            threading.Thread(target=Connection(sock, self).serve).start()

    def is_ending(self):
        return self.end.fileno() == -1

    def respond(self, request):
        try:
            return self.handle(request)
        except Refused as refusal:
            return Response(refusal.status, REASONS[refusal.status])
        except Exception as error:  # one bad request must not end the connection's thread without an answer
            print(f"{request.method} {request.path}: {error!r}", file=sys.stderr, flush=True)
            return Response(500, "something went wrong; the log says what")


def parse_head(head):
    request_line, *lines = head.decode("latin-1").split("\r\n")
    parts = request_line.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise Refused(400)
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or name != name.strip():
            raise Refused(400)
        headers[name.lower()] = value.strip()
    return Request(*parts, headers)


def listen_address():
    return os.environ.get("BIND_ADDRESS", "127.0.0.1"), int(os.environ["PORT"])
