-- Format 2: the store knows whose it is and how old, the journal what a step led to, and what decides something carries a checksum.
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE memo (
    kind TEXT NOT NULL, app TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, sum TEXT NOT NULL,
    PRIMARY KEY (kind, app, name)
) WITHOUT ROWID;
ALTER TABLE journal ADD COLUMN target TEXT NOT NULL DEFAULT '';
-- Failed attempts were kept by another key than now: what rested is tried once more.
DROP TABLE attempt;
