-- What must stay the same over all starts: the key tokens are signed with.
CREATE TABLE secret (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- Every mail that came in. Its text is a file named by its id, the SHA-256 of it; is_cleared says that the file was removed: the row
-- stays, so that a mail that comes once more is known.
CREATE TABLE letter (
    position    INTEGER PRIMARY KEY,
    id          TEXT    NOT NULL UNIQUE,
    size        INTEGER NOT NULL,
    delivery    TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    state       TEXT    NOT NULL,
    outcome     TEXT    NOT NULL DEFAULT '',
    sender      TEXT    NOT NULL DEFAULT '',
    person      TEXT    NOT NULL DEFAULT '',
    subject     TEXT    NOT NULL DEFAULT '',
    message_id  TEXT,
    project_id  TEXT,
    is_trusted  INTEGER NOT NULL DEFAULT 0,
    done_at     INTEGER,
    judged_by   TEXT,
    is_cleared  INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX letter_open ON letter (position) WHERE done_at IS NULL;
CREATE INDEX letter_state ON letter (state, position);
CREATE INDEX letter_seen ON letter (message_id) WHERE is_trusted = 1;
CREATE INDEX letter_rate ON letter (person, received_at) WHERE is_trusted = 1;
CREATE INDEX letter_rates ON letter (received_at) WHERE is_trusted = 1;
CREATE INDEX letter_stale ON letter (done_at) WHERE is_cleared = 0;

-- How far each mailbox was read.
CREATE TABLE mailbox (
    name     TEXT    PRIMARY KEY,
    validity INTEGER NOT NULL,
    uid      INTEGER NOT NULL
) WITHOUT ROWID;

-- Every mail of ours, written down before it is sent. sha256 names the file with its text.
CREATE TABLE outgoing (
    position    INTEGER PRIMARY KEY,
    id          TEXT    NOT NULL UNIQUE,
    name        TEXT    NOT NULL,
    recipient   TEXT    NOT NULL,
    person      TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    project_id  TEXT,
    approval_id TEXT,
    digest      TEXT    NOT NULL,
    message_id  TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    state       TEXT    NOT NULL,
    tries       INTEGER NOT NULL,
    next_at     INTEGER NOT NULL,
    error       TEXT,
    used        TEXT,
    sha256      TEXT    NOT NULL,
    is_cleared  INTEGER NOT NULL DEFAULT 0,
    UNIQUE (name, recipient)
);
CREATE INDEX outgoing_due ON outgoing (next_at) WHERE state = 'queued';
CREATE INDEX outgoing_message ON outgoing (message_id);
CREATE INDEX outgoing_rate ON outgoing (person, created_at);
CREATE INDEX outgoing_text ON outgoing (sha256);
CREATE INDEX outgoing_stale ON outgoing (created_at) WHERE is_cleared = 0;

-- The thread of a project with a person. refs is a JSON list of Message-IDs, the oldest first.
CREATE TABLE thread (
    project_id TEXT    NOT NULL,
    person     TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    refs       TEXT    NOT NULL,
    is_quiet   INTEGER NOT NULL DEFAULT 0,
    is_start   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (project_id, person)
) WITHOUT ROWID;

-- What happened and is told with the next digest.
CREATE TABLE news (
    position   INTEGER PRIMARY KEY,
    person     TEXT    NOT NULL,
    project_id TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    project    TEXT    NOT NULL,
    said       TEXT    NOT NULL,
    UNIQUE (person, project_id, at, said)
);

-- How far the orchestrator's feed was followed.
CREATE TABLE cursor (
    name TEXT    PRIMARY KEY,
    seq  INTEGER NOT NULL
) WITHOUT ROWID;
