-- Truth: the journal, what is still to be done, and how far the bus was read. One transaction moves all three.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE journal (
    seq        INTEGER PRIMARY KEY,
    project_id TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    event      TEXT    NOT NULL,
    kind       TEXT    GENERATED ALWAYS AS (event ->> '$.fact.kind') VIRTUAL,
    detail     TEXT,
    UNIQUE (project_id, version)
);

-- Commands that are committed but not yet performed; a performed one is deleted.
CREATE TABLE outbox (
    seq        INTEGER NOT NULL,
    number     INTEGER NOT NULL,
    project_id TEXT    NOT NULL,
    command    TEXT    NOT NULL,
    PRIMARY KEY (seq, number)
) WITHOUT ROWID;

CREATE TABLE cursor (
    stream         TEXT PRIMARY KEY,
    seq            INTEGER NOT NULL,
    stream_created TEXT    NOT NULL
) WITHOUT ROWID;

-- Messages that could not be read, kept as they came.
CREATE TABLE dead_letter (
    id          INTEGER PRIMARY KEY,
    stream      TEXT    NOT NULL,
    stream_seq  INTEGER NOT NULL,
    subject     TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    payload     BLOB    NOT NULL,
    received_at INTEGER NOT NULL
);
