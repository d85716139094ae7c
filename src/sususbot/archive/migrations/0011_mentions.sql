-- Mentions of the bot that were taken, so that none is answered twice, and how each ended.
-- Never edited once released: a change is a new file.

-- No words: a bare id, gone with its message, and in any case after some days. how is NULL while nothing came of it yet.
CREATE TABLE mentions (
    message_id INTEGER PRIMARY KEY,
    channel_id INTEGER NOT NULL,
    how TEXT
);

CREATE INDEX mentions_in_hand ON mentions (channel_id, message_id) WHERE how IS NULL;

-- How far the bot has heard each channel: nothing up to this message is left to be read again.
CREATE TABLE heard (
    channel_id INTEGER PRIMARY KEY,
    message_id INTEGER NOT NULL
);
