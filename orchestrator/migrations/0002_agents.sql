-- Agents: the projections have other columns. They are derived, so they are made anew from the journal.
DROP TABLE IF EXISTS project;
DROP TABLE IF EXISTS task;
DROP TABLE IF EXISTS handoff;
DROP TABLE IF EXISTS failure;
DROP TABLE IF EXISTS approval;
DROP TABLE IF EXISTS feed;
INSERT OR REPLACE INTO meta (name, value) VALUES ('projections', 'stale');
