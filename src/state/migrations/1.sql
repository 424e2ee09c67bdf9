-- Format 1. Not changed any more: stores of that time are brought on from here.
CREATE TABLE IF NOT EXISTS event (seq INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, app TEXT, event TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS event_by_app ON event (app, seq);
CREATE TABLE IF NOT EXISTS journal (
    app TEXT NOT NULL, step INTEGER NOT NULL, action TEXT NOT NULL, state TEXT NOT NULL, time INTEGER NOT NULL, error TEXT,
    PRIMARY KEY (app, step)
);
CREATE TABLE IF NOT EXISTS attempt (app TEXT NOT NULL, target TEXT NOT NULL, attempt TEXT NOT NULL, PRIMARY KEY (app, target));
