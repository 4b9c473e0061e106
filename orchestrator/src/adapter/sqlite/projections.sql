-- Projections: derived from the journal alone. `{s}` is the schema: `main` for the live ones, `temp` while rebuilding.
CREATE TABLE IF NOT EXISTS {s}.project (
    project_id    TEXT PRIMARY KEY,
    title         TEXT    NOT NULL,
    goal          TEXT    NOT NULL,
    folder        TEXT    NOT NULL,
    owner         TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    changed_at    INTEGER NOT NULL,
    base_commit   TEXT    NOT NULL,
    result_commit TEXT,
    applied_at    INTEGER,
    settled       INTEGER NOT NULL,
    vm_ms            INTEGER NOT NULL DEFAULT 0,
    program_wall_ms  INTEGER NOT NULL DEFAULT 0,
    program_cpu_ms   INTEGER NOT NULL DEFAULT 0,
    program_peak_kib INTEGER NOT NULL DEFAULT 0,
    output_bytes     INTEGER NOT NULL DEFAULT 0,
    tool_calls       INTEGER NOT NULL DEFAULT 0,
    calls            INTEGER NOT NULL DEFAULT 0,
    tokens_input     INTEGER NOT NULL DEFAULT 0,
    tokens_output    INTEGER NOT NULL DEFAULT 0,
    cache_write_5m   INTEGER NOT NULL DEFAULT 0,
    cache_write_1h   INTEGER NOT NULL DEFAULT 0,
    cache_read       INTEGER NOT NULL DEFAULT 0,
    usd_nanos        INTEGER NOT NULL DEFAULT 0,
    price_assumed    INTEGER NOT NULL DEFAULT 0,
    -- What was spent so far beside its limits, running attempts included (a SpendView).
    spend            TEXT    NOT NULL DEFAULT '{}'
) WITHOUT ROWID;

-- What a project was started by: asked for once more, it is found here.
CREATE TABLE IF NOT EXISTS {s}.project_key (
    key        TEXT PRIMARY KEY,
    project_id TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS {s}.task (
    task_id      TEXT PRIMARY KEY,
    project_id   TEXT    NOT NULL,
    position     INTEGER NOT NULL,
    key          TEXT    NOT NULL,
    title        TEXT    NOT NULL,
    needs        TEXT    NOT NULL,
    max_attempts INTEGER NOT NULL,
    state        TEXT    NOT NULL,
    reason       TEXT    NOT NULL,
    attempt      INTEGER NOT NULL,
    stage        TEXT,
    host_id      TEXT,
    claimed_at   INTEGER,
    ended_at     INTEGER,
    spend        TEXT    NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS {s}.task_by_project ON task (project_id, position);

CREATE TABLE IF NOT EXISTS {s}.handoff (
    task_id TEXT PRIMARY KEY,
    attempt INTEGER NOT NULL,
    body    TEXT    NOT NULL
);

CREATE TABLE IF NOT EXISTS {s}.failure (
    task_id TEXT PRIMARY KEY,
    body    TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS {s}.approval (
    approval_id TEXT PRIMARY KEY,
    project_id  TEXT    NOT NULL,
    task_id     TEXT,
    subject     TEXT    NOT NULL,
    digest      TEXT    NOT NULL,
    policy      TEXT    NOT NULL,
    asked_at    INTEGER NOT NULL,
    expires_at  INTEGER,
    closed      INTEGER NOT NULL DEFAULT 0,
    -- How it is decided, and how far that is (a RouteView).
    route       TEXT    NOT NULL,
    -- Requests with the same key can be shown together.
    batch       TEXT,
    -- A person was asked.
    prompts     INTEGER NOT NULL,
    decision    TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS {s}.approval_by_project ON approval (project_id);
CREATE INDEX IF NOT EXISTS {s}.approval_pending ON approval (asked_at, approval_id) WHERE closed = 0;

-- What is shown of a request: large, and never needed for a list.
CREATE TABLE IF NOT EXISTS {s}.approval_about (
    approval_id TEXT PRIMARY KEY,
    body        TEXT NOT NULL
);

-- Decisions that count for later requests, too.
CREATE TABLE IF NOT EXISTS {s}.remembered (
    approval_id TEXT    NOT NULL,
    person      TEXT    NOT NULL,
    project_id  TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    policy      TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    folder      TEXT    NOT NULL,
    scope       TEXT    NOT NULL,
    risk        TEXT    NOT NULL,
    since       INTEGER NOT NULL,
    until       INTEGER NOT NULL,
    revoked_by  TEXT,
    PRIMARY KEY (approval_id, person)
) WITHOUT ROWID;

-- The requests a remembered decision counted for.
CREATE TABLE IF NOT EXISTS {s}.remembered_use (
    source      TEXT NOT NULL,
    person      TEXT NOT NULL,
    approval_id TEXT NOT NULL,
    PRIMARY KEY (source, person, approval_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS {s}.feed (
    seq           INTEGER PRIMARY KEY,
    project_id    TEXT    NOT NULL,
    at            INTEGER NOT NULL,
    kind          TEXT    NOT NULL,
    task_key      TEXT,
    project_state TEXT    NOT NULL,
    text          TEXT    NOT NULL,
    tasks         TEXT    NOT NULL,
    approval_id   TEXT,
    project_changed INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS {s}.feed_by_project ON feed (project_id, seq);
