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

-- Every message that shows a request. A row without ts is an intention: it may have been posted, or not.
CREATE TABLE card (
    approval_id TEXT    NOT NULL,
    channel     TEXT    NOT NULL,
    ts          TEXT,
    thread_ts   TEXT,
    rendered    TEXT    NOT NULL DEFAULT '',
    decided     INTEGER NOT NULL DEFAULT 0,
    intended_at INTEGER NOT NULL,
    PRIMARY KEY (approval_id, channel)
) WITHOUT ROWID;
CREATE INDEX card_place ON card (channel, ts);
CREATE INDEX card_open ON card (decided) WHERE decided = 0;

-- The thread of a project and its status message. thread_ts and status_ts are absent while they are only intended.
CREATE TABLE project (
    project_id  TEXT    PRIMARY KEY,
    channel     TEXT    NOT NULL,
    thread_ts   TEXT,
    status_ts   TEXT,
    status      TEXT    NOT NULL DEFAULT '',
    started_by  TEXT    NOT NULL,
    closed      INTEGER NOT NULL DEFAULT 0,
    intended_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Threads that belong to a project; it may have several.
CREATE TABLE link (
    channel    TEXT NOT NULL,
    thread_ts  TEXT NOT NULL,
    project_id TEXT NOT NULL,
    PRIMARY KEY (channel, thread_ts)
) WITHOUT ROWID;

-- Requests that share one card, as the card shows them: the ids with the digests people saw.
CREATE TABLE batch (
    batch_key TEXT    PRIMARY KEY,
    channel   TEXT    NOT NULL,
    ts        TEXT,
    thread_ts TEXT,
    members   TEXT    NOT NULL,
    rendered  TEXT    NOT NULL DEFAULT '',
    intended_at INTEGER NOT NULL
) WITHOUT ROWID;

-- How far the orchestrator's feed was followed.
CREATE TABLE cursor (
    name TEXT    PRIMARY KEY,
    seq  INTEGER NOT NULL
) WITHOUT ROWID;
