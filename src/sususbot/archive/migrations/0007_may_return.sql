-- Who says no to everything loses their words as the forgotten do, but may come back: their name and answers stay.
-- Never edited once released: a change is a new file.
ALTER TABLE erased ADD COLUMN may_return INTEGER NOT NULL DEFAULT 0;
