"""Counts the entries every few seconds until it is told to end."""

import os
import signal
import sqlite3
import sys
import threading

import store


def main():
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    pause = float(os.environ.get("COUNT_EVERY", "5"))
    print(f"worker: counting every {pause:g} s, release {store.release()}", flush=True)
    while True:
        try:
            store.count_entries()
        except sqlite3.Error as error:  # busy for ten seconds, or the disk is full: the next round may go better
            print(f"worker: {error}", file=sys.stderr, flush=True)
        if ending.wait(pause):
            return


if __name__ == "__main__":
    main()
