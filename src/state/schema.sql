-- The agent's memory. Everything here may be lost without losing an app.
PRAGMA journal_mode = WAL;
-- A power loss may take the newest lines with it, never the file's integrity; what must not be done twice is stamped elsewhere.
PRAGMA synchronous = NORMAL;
PRAGMA busy_timeout = 2000;
PRAGMA cache_size = -256;
CREATE TABLE IF NOT EXISTS event (seq INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, app TEXT, event TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS event_by_app ON event (app, seq);
CREATE TABLE IF NOT EXISTS journal (
    app TEXT NOT NULL, step INTEGER NOT NULL, action TEXT NOT NULL, state TEXT NOT NULL, time INTEGER NOT NULL, error TEXT,
    PRIMARY KEY (app, step)
);
CREATE TABLE IF NOT EXISTS attempt (app TEXT NOT NULL, target TEXT NOT NULL, attempt TEXT NOT NULL, PRIMARY KEY (app, target));
PRAGMA user_version = 1;
