-- Quotes of members who said no to being remembered are read without their words; what was made of them before goes.
-- Never edited once released: a change is a new file.

-- Somewhat more than these quotes, as SQL alone can tell; what goes needlessly is made anew. Silence means what it meant.
CREATE TEMP TABLE quoting AS SELECT id FROM messages WHERE instr(content, '> ') AND EXISTS (
    SELECT 1 FROM (SELECT author_id FROM messages AS asked WHERE asked.id = messages.reply_to
        UNION ALL SELECT value FROM json_each(messages.mentions)) AS quoted
    LEFT JOIN answers ON answers.author_id = quoted.author_id
    LEFT JOIN authors ON authors.id = quoted.author_id
    WHERE NOT coalesce(remember, (SELECT count(*) = 0 FROM facts WHERE name = 'consent' AND value = 'opt-in'))
        AND NOT coalesce(is_bot, 0)
);

-- The Chroma folder keeps what is deleted from it.
INSERT OR REPLACE INTO facts (name, value)
SELECT 'worn_index', 'now' WHERE EXISTS (SELECT 1 FROM vectors JOIN quoting ON id = message_id);

DELETE FROM vectors WHERE message_id IN (SELECT id FROM quoting);
DELETE FROM terms WHERE message_id IN (SELECT id FROM quoting);
DELETE FROM links WHERE message_id IN (SELECT id FROM quoting);
DELETE FROM summaries WHERE piece_id IN (
    SELECT piece_id FROM summary_messages JOIN quoting ON id = message_id
);
UPDATE feedback SET asked = '', said = '' WHERE id IN (
    SELECT feedback_id FROM feedback_messages JOIN quoting ON id = message_id
);

DROP TABLE quoting;
