-- The audit log says in an entry of its own from which journal record on it is complete, and in what. The program writes that
-- entry when it opens the database, in this transaction: before it there was none, so an older record may lack later kinds.
INSERT OR REPLACE INTO meta (name, value) VALUES ('audit_begins', 'due');
