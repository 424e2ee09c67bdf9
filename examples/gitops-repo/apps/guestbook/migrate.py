"""The release command: makes the tables and writes down that it ran."""

import store

print(f"migrate: tables are there; run number {store.migrate()}, for release {store.release()}")
