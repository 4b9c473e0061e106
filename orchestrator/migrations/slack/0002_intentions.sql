-- When it was written down that a message is going to be posted: one that was perhaps posted is not looked for in what is older.
ALTER TABLE posting ADD COLUMN intended_at INTEGER NOT NULL DEFAULT 0;
