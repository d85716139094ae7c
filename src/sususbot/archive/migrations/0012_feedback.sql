-- What the owner thought of replies: a thumb up or down, what was asked and said, and how the reply was made.
-- Never edited once released: a change is a new file.

-- Words go when anything they may hold is gone; the thumb and how the reply was made hold none, and stay.
CREATE TABLE feedback (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    rating INTEGER NOT NULL CHECK (rating IN (-1, 1)),
    asked TEXT NOT NULL,
    said TEXT NOT NULL,
    engine TEXT NOT NULL,
    adapter TEXT NOT NULL,
    sampling TEXT NOT NULL
);

CREATE TABLE feedback_messages (
    feedback_id INTEGER NOT NULL REFERENCES feedback (id) ON DELETE CASCADE,
    message_id INTEGER NOT NULL,
    PRIMARY KEY (feedback_id, message_id)
) WITHOUT ROWID;

CREATE INDEX feedback_by_message ON feedback_messages (message_id);

CREATE TRIGGER feedback_words_go_with_words AFTER UPDATE OF rendered, deleted_at ON messages
WHEN NEW.deleted_at IS NOT NULL OR NEW.rendered IS NOT OLD.rendered
BEGIN
    UPDATE feedback SET asked = '', said = ''
    WHERE id IN (SELECT feedback_id FROM feedback_messages WHERE message_id = NEW.id);
END;

CREATE TRIGGER feedback_words_go_with_messages AFTER DELETE ON messages
BEGIN
    UPDATE feedback SET asked = '', said = ''
    WHERE id IN (SELECT feedback_id FROM feedback_messages WHERE message_id = OLD.id);
END;
