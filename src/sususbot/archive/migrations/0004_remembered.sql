-- What may be remembered and quoted: one place decides, and every search asks it.

CREATE TABLE opted_out (
    author_id INTEGER PRIMARY KEY
);

CREATE VIEW remembered AS
SELECT messages.*
FROM messages
JOIN authors ON authors.id = messages.author_id
WHERE messages.type IN (0, 19)
    AND messages.deleted_at IS NULL
    AND messages.rendered <> ''
    AND NOT authors.is_bot
    AND messages.author_id NOT IN (SELECT author_id FROM opted_out);
