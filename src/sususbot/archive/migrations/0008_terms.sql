-- The words of a message as numbers, for the index in memory: made beside it, gone with what they were made of.
-- Never edited once released: a change is a new file.

CREATE TABLE terms (
    message_id INTEGER PRIMARY KEY REFERENCES messages (id),
    traits INTEGER NOT NULL,
    terms BLOB NOT NULL
);

CREATE TRIGGER terms_of_changed AFTER UPDATE OF rendered, deleted_at ON messages
WHEN new.rendered IS NOT old.rendered OR new.deleted_at IS NOT NULL
BEGIN
    DELETE FROM terms WHERE message_id = old.id;
END;

CREATE TRIGGER terms_of_gone AFTER DELETE ON messages
BEGIN
    DELETE FROM terms WHERE message_id = old.id;
END;
