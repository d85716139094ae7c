-- Which earlier message each one answers, as the linker found it; NULL where it begins something.
-- Derived: a row goes with the words it was read from, or with those it points at, and is then found anew.
-- Never edited once released: a change is a new file.

CREATE TABLE links (
    message_id INTEGER PRIMARY KEY REFERENCES messages (id),
    answers INTEGER,
    score REAL NOT NULL
);

CREATE INDEX links_by_answer ON links (answers) WHERE answers IS NOT NULL;

CREATE TRIGGER links_go_with_words AFTER UPDATE OF rendered, deleted_at, reply_to, mentions ON messages
WHEN OLD.rendered IS NOT NEW.rendered OR OLD.deleted_at IS NOT NEW.deleted_at OR OLD.reply_to IS NOT NEW.reply_to
    OR OLD.mentions IS NOT NEW.mentions
BEGIN
    DELETE FROM links WHERE message_id = NEW.id OR answers = NEW.id;
END;

CREATE TRIGGER links_go_with_messages BEFORE DELETE ON messages
BEGIN
    DELETE FROM links WHERE message_id = OLD.id OR answers = OLD.id;
END;
