-- Whose mail it is that was put aside or not acted on: 0 for who is known, 1 for strangers, 2 for who says to be somebody who may
-- write. Texts of 1 and 2 have limits. is_cleared is 2 while a text is being removed because of them.
ALTER TABLE letter ADD COLUMN standing INTEGER NOT NULL DEFAULT 0;
UPDATE letter SET standing = 1 WHERE state = 'quarantined' AND outcome LIKE '% may not write: no member has this address%';
UPDATE letter SET standing = 2 WHERE state = 'quarantined' AND outcome LIKE '% may not have written it: %';
CREATE INDEX letter_unproven ON letter (standing, position) WHERE standing > 0 AND is_cleared = 0;
CREATE INDEX letter_leaving ON letter (position) WHERE is_cleared = 2;
