-- The audit log: truth, as the journal is. One entry per thing that was asked, seen, said and decided about a request,
-- each with the hash of the one before. The program only ever appends; the triggers refuse its own mistakes.
CREATE TABLE audit (
    number       INTEGER PRIMARY KEY,
    sequence     INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    kind         TEXT    NOT NULL,
    project_id   TEXT    NOT NULL,
    approval_id  TEXT    NOT NULL,
    subject      TEXT    NOT NULL,
    digest       TEXT    NOT NULL,
    actor        TEXT    NOT NULL,
    channel      TEXT    NOT NULL,
    detail       TEXT    NOT NULL,
    event_sha256 TEXT    NOT NULL,
    previous     TEXT    NOT NULL,
    hash         TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_by_project ON audit (project_id, number);

CREATE TRIGGER audit_only_grows BEFORE INSERT ON audit
WHEN NEW.number IS NOT (SELECT coalesce(max(number), 0) + 1 FROM audit)
BEGIN SELECT RAISE(ABORT, 'an entry of the audit log follows the last one'); END;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is never changed'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'nothing of the audit log is deleted'); END;

-- From which journal record on there are entries: a database from before has none about its earlier records.
INSERT INTO meta (name, value) SELECT 'audit_from', coalesce(max(seq), 0) + 1 FROM journal;

-- Requests have other columns. The projections are derived, so they are made anew from the journal.
DROP TABLE IF EXISTS project;
DROP TABLE IF EXISTS task;
DROP TABLE IF EXISTS handoff;
DROP TABLE IF EXISTS failure;
DROP TABLE IF EXISTS approval;
DROP TABLE IF EXISTS feed;
INSERT OR REPLACE INTO meta (name, value) VALUES ('projections', 'stale');
