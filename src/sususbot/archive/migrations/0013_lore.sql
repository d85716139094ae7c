-- Messages that the owner pinned as lore: search prefers them, whatever Discord shows as pinned.
-- Never edited once released: a change is a new file.

-- Only ids. A pin goes with its message's words; an import that brings the message again leaves it as it is.
CREATE TABLE lore (
    message_id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL
);

CREATE TRIGGER lore_goes_with_words AFTER UPDATE OF deleted_at ON messages WHEN NEW.deleted_at IS NOT NULL
BEGIN
    DELETE FROM lore WHERE message_id = NEW.id;
END;

CREATE TRIGGER lore_goes_with_messages AFTER DELETE ON messages
BEGIN
    DELETE FROM lore WHERE message_id = OLD.id;
END;
