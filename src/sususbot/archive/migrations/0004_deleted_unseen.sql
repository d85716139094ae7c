-- Messages deleted before they were ever imported: when one arrives after all, it becomes a tombstone at once.
-- Never edited once released: a change is a new file.

CREATE TABLE deleted_unseen (
    id INTEGER PRIMARY KEY,
    deleted_at INTEGER NOT NULL
);
