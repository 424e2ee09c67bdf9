"""The guestbook's pages."""

import os
import time

import store
from web import Refused, Response, Server, listen_address

HERE = os.path.dirname(os.path.abspath(__file__))

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
  :root {{ color-scheme: light dark; --faint: light-dark(#6c727d, #9a9fa9); --line: light-dark(#dedbd3, #3a3d44); --accent: light-dark(#2a6b4f, #7cc7a3) }}
  body {{ max-width: 36rem; margin: 10vh auto 4rem; padding: 0 1.5rem; font: 1.0625rem/1.6 Charter, "Bitstream Charter", "Sitka Text", Cambria, serif }}
  h1 {{ margin: 0; font-size: 2.25rem; letter-spacing: -0.02em }}
  small, footer {{ color: var(--faint) }}
  form {{ display: grid; gap: 0.75rem; margin: 2rem 0 }}
  input, textarea, button {{ font: inherit; padding: 0.5rem 0.75rem; border: 1px solid var(--line); border-radius: 0.4rem; background: transparent; color: inherit }}
  button {{ justify-self: start; border-color: var(--accent); color: var(--accent); cursor: pointer }}
  ol {{ list-style: none; padding: 0 }}
  li {{ padding: 1rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere }}
  footer {{ margin-top: 3rem; font-size: 0.85rem }}
</style>
<h1>{name}</h1>
<small>{greeting}</small>
<form method="post" action="/entries">
  <input name="author" aria-label="Your name" placeholder="Your name" maxlength="80" required>
  <textarea name="message" aria-label="Your line" placeholder="Your line" maxlength="1000" rows="3" required></textarea>
  <button>Sign</button>
</form>
<ol>{entries}</ol>
<footer>Release {release}, version {version}. {count}</footer>
</html>
"""

ENTRY = "<li>{message}<br><small>{author}, {written_at} UTC, on release {release}</small></li>"

ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})


def version():
    with open(os.path.join(HERE, "VERSION"), encoding="utf-8") as file:
        return file.read().strip()


VERSION = version()


def handle(request):
    match request.method, request.path.split("/")[1:]:
        case "GET" | "HEAD", [""]:
            return show_page()
        case "GET" | "HEAD", ["health"]:
            return health()
        case "GET", ["slow"]:
            return slow(request)
        case "POST", ["entries"]:
            return sign(request)
        case "DELETE", ["entries", number]:
            return remove(request, number)
        case _, [""] | ["health"] | ["slow"] | ["entries"]:
            return Response(405, "this address is asked in another way")
        case _:
            return Response(404, "there is nothing here")


def show_page():
    page = PAGE.format(
        title=escape(os.environ.get("PAGE_TITLE", "Guestbook")),
        name=escape(os.environ.get("GUESTBOOK_NAME", "Guestbook")),
        greeting=escape(os.environ.get("GREETING", "")),
        entries="".join(entry(*row) for row in store.newest_entries()),
        release=store.release(),
        version=escape(VERSION),
        count=count_sentence(),
    )
    return Response(200, page, "text/html; charset=utf-8")


def entry(_number, author, message, release, written_at):
    return ENTRY.format(author=escape(author), message=escape(message), release=release, written_at=written_at)


def count_sentence():
    count = store.last_count()
    return f"Entries when the worker last counted, at {count[1]} UTC: {count[0]}." if count else "Not counted yet."


def health():
    """Healthy means: a visitor could be served, so the database is asked, too."""
    return Response(200, "ok\n") if store.is_ready() else Response(503, "the release command has not run\n")


def slow(request):
    """Takes its time, to show that a deploy waits for requests that are under way."""
    name, _, seconds = request.query.partition("=")
    if name != "seconds" or not seconds.isdecimal() or int(seconds) > 30:
        raise Refused(400)
    time.sleep(int(seconds))
    return Response(200, f"that took {int(seconds)} s\n")


def sign(request):
    is_json = request.headers.get("content-type", "").startswith("application/json")
    fields = json_fields(request.body) if is_json else form_fields(request.body)
    author, message = (field(fields, name, limit) for name, limit in (("author", 80), ("message", 1000)))
    number = store.add_entry(author, message)
    if is_json:
        return Response(201, f'{{"id": {number}}}\n', "application/json")
    return Response(303, headers=[("Location", "/")])


def json_fields(body):
    import json  # here and below: imported with the first request that needs it, so that a release starts sooner

    try:
        fields = json.loads(body)
    except ValueError:
        raise Refused(400) from None
    return fields if isinstance(fields, dict) else {}


def form_fields(body):
    from urllib.parse import parse_qsl

    return dict(parse_qsl(body.decode("utf-8", "replace")))


def field(fields, name, limit):
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > limit:
        raise Refused(400)
    return value.strip()


def remove(request, number):
    from hmac import compare_digest

    token = os.environ.get("MODERATOR_TOKEN", "")
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not token or not compare_digest(given.encode(), token.encode()):
        raise Refused(403)
    if not number.isdecimal() or len(number) > 18 or not store.remove_entry(int(number)):
        raise Refused(404)
    return Response(200, "removed\n")


def escape(text):
    return text.translate(ESCAPES)


def main():
    headers = [("X-Release", str(store.release())), ("X-Version", VERSION)]
    server = Server(listen_address(), handle, headers)
    print(f"guestbook: release {store.release()}, version {VERSION}", flush=True)
    server.run()


if __name__ == "__main__":
    main()
