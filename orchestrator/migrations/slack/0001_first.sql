-- What Slack sent, until it was acted on, and a while after so that repeats are known.
CREATE TABLE inbox (
    position    INTEGER PRIMARY KEY,
    key         TEXT    NOT NULL UNIQUE,
    raw         TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    done_at     INTEGER,
    outcome     TEXT
);
CREATE INDEX inbox_undone ON inbox (position) WHERE done_at IS NULL;

-- Every message of ours, by what it is: card:<request>, status:<project> … A row without ts is an intention: it may have been posted,
-- or not. target is where it was to go: a channel, or a person.
CREATE TABLE posting (
    name      TEXT    NOT NULL,
    target    TEXT    NOT NULL,
    channel   TEXT,
    ts        TEXT,
    thread_ts TEXT,
    sha256    TEXT    NOT NULL DEFAULT '',
    closed    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (name, target)
) WITHOUT ROWID;
CREATE INDEX posting_open ON posting (name) WHERE closed = 0;

-- The thread of a project. thread_ts is absent until the project's first message is posted.
CREATE TABLE project (
    project_id  TEXT    PRIMARY KEY,
    channel     TEXT    NOT NULL,
    thread_ts   TEXT,
    started_by  TEXT    NOT NULL,
    closed      INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- Threads that belong to a project; it may have several.
CREATE TABLE link (
    channel    TEXT NOT NULL,
    thread_ts  TEXT NOT NULL,
    project_id TEXT NOT NULL,
    PRIMARY KEY (channel, thread_ts)
) WITHOUT ROWID;

-- Requests that share one card, as the card shows them, in JSON: the ids with the digests people saw.
CREATE TABLE batch (
    name  TEXT PRIMARY KEY,
    items TEXT NOT NULL
) WITHOUT ROWID;

-- How far the orchestrator's feed was followed.
CREATE TABLE cursor (
    name TEXT    PRIMARY KEY,
    seq  INTEGER NOT NULL
) WITHOUT ROWID;
