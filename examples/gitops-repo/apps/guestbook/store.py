"""The guestbook's database. Two releases and their workers use one file at the same time, so every access is short and waits its turn."""

import os
import sqlite3
from contextlib import contextmanager

SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY,
    author TEXT NOT NULL,
    message TEXT NOT NULL,
    release INTEGER NOT NULL,
    written_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE IF NOT EXISTS counts (
    counted_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    entries INTEGER NOT NULL,
    release INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS migrations_run (
    id INTEGER PRIMARY KEY,
    release INTEGER NOT NULL,
    run_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
"""

_idle = []  # connections that no thread uses at the moment; `append` and `pop` of a list are atomic


def release():
    return int(os.environ.get("HOP3_RELEASE", "0"))


def path():
    """`sqlite:///srv/data.db` names the file /srv/data.db."""
    url = os.environ.get("DATABASE_URL", "sqlite:///" + os.path.abspath("guestbook.db"))
    scheme, _, path = url.partition("://")
    if scheme != "sqlite" or not path:
        raise SystemExit("DATABASE_URL: expected sqlite:///PATH")
    return path


def connect():
    """Statements commit by themselves; a writer that meets another one waits up to ten seconds for it."""
    db = sqlite3.connect(path(), timeout=10, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA synchronous = NORMAL")
    return db


@contextmanager
def database():
    """A connection for a moment. One that failed is closed, not kept."""
    try:
        db = _idle.pop()
    except IndexError:
        db = connect()
    try:
        yield db
    except BaseException:
        db.close()
        raise
    _idle.append(db)


def migrate():
    """May be run again at any time, and beside a release that is serving."""
    with database() as db:
        db.execute("PRAGMA journal_mode = WAL")  # readers do not wait for a writer; the file remembers it
        db.executescript(SCHEMA)
        db.execute("INSERT INTO migrations_run (release) VALUES (?)", (release(),))
        return db.execute("SELECT count(*) FROM migrations_run").fetchone()[0]


def add_entry(author, message):
    with database() as db:
        cursor = db.execute("INSERT INTO entries (author, message, release) VALUES (?, ?, ?)", (author, message, release()))
        return cursor.lastrowid


def remove_entry(number):
    with database() as db:
        return db.execute("DELETE FROM entries WHERE id = ?", (number,)).rowcount == 1


def newest_entries(limit=20):
    with database() as db:
        query = "SELECT id, author, message, release, written_at FROM entries ORDER BY id DESC LIMIT ?"
        return db.execute(query, (limit,)).fetchall()


def count_entries():
    """The worker's part: a number that is cheap to show, because it was counted before."""
    with database() as db:
        db.execute("INSERT INTO counts (entries, release) SELECT count(*), ? FROM entries", (release(),))
        db.execute("DELETE FROM counts WHERE rowid <= (SELECT max(rowid) FROM counts) - 1000")


def last_count():
    """(entries, when) of the worker's last count, or None before the first."""
    with database() as db:
        return db.execute("SELECT entries, counted_at FROM counts ORDER BY rowid DESC LIMIT 1").fetchone()


def is_ready():
    with database() as db:
        return db.execute("SELECT count(*) FROM migrations_run").fetchone()[0] > 0
