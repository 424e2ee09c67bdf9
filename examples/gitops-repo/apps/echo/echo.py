"""Answers each request with its own method, path and headers."""

import os
import signal
import socketserver
import threading


class Echo(socketserver.StreamRequestHandler):
    """One connection, one request: small enough to read, and every answer says that the connection ends with it."""

    timeout = 30

    def handle(self):
        request_line = self.rfile.readline(8192).decode("latin-1").strip()
        if not request_line:
            return
        headers = self.read_headers()
        self.skip_body(headers)
        text = "\n".join([f"{os.environ.get('ECHO_PREFIX', 'you asked')}: {request_line}", *headers, ""])
        self.answer(text.encode("utf-8"), with_body=not request_line.startswith("HEAD "))

    def read_headers(self):
        lines = iter(lambda: self.rfile.readline(8192).decode("latin-1").strip(), "")
        return [line for line, _ in zip(lines, range(100))]

    def skip_body(self, headers):
        """Closing a connection with unread bytes would reset it, and the answer could be lost."""
        for header in headers:
            name, _, value = header.partition(":")
            if name.lower() == "content-length" and value.strip().isdigit():
                self.rfile.read(min(int(value), 1 << 20))

    def answer(self, body, with_body):
        head = (
            "HTTP/1.1 200 OK\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\n"
            f"X-Release: {os.environ.get('HOP3_RELEASE', '0')}\r\n"
            "Connection: close\r\n\r\n"
        )
        self.wfile.write(head.encode("latin-1") + (body if with_body else b""))


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 128
    daemon_threads = False  # the end of the process waits for requests in flight


def main():
    address = os.environ.get("BIND_ADDRESS", "127.0.0.1"), int(os.environ["PORT"])
    with Server(address, Echo) as server:
        # `shutdown` waits for `serve_forever`, which runs in this very thread: ask from another one.
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
