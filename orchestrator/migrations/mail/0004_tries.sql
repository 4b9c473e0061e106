-- How often it could not be found out who wrote a mail that came in: that ends after so many tries, whenever they were.
ALTER TABLE letter ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
