-- The talk that left each channel's window, in pieces, and what was made of them.
-- Never edited once released: a change is a new file.

-- A piece is a stretch of a channel: the messages after after_id, up to and with last_id. It holds no words itself.
CREATE TABLE pieces (
    id INTEGER PRIMARY KEY,
    channel_id INTEGER NOT NULL,
    after_id INTEGER NOT NULL,
    last_id INTEGER NOT NULL
);

CREATE INDEX pieces_by_channel ON pieces (channel_id, last_id);

-- The gist of a piece, and which messages it was made of. It goes when one of them changes.
CREATE TABLE summaries (
    piece_id INTEGER PRIMARY KEY REFERENCES pieces (id) ON DELETE CASCADE,
    text TEXT NOT NULL,
    made_by TEXT NOT NULL
);

CREATE TABLE summary_messages (
    piece_id INTEGER NOT NULL REFERENCES summaries (piece_id) ON DELETE CASCADE,
    message_id INTEGER NOT NULL,
    PRIMARY KEY (piece_id, message_id)
) WITHOUT ROWID;

CREATE INDEX summaries_by_message ON summary_messages (message_id);

-- Channels whose talk was to be forgotten: nothing up to this id is in window or summary any more.
CREATE TABLE cleared (
    channel_id INTEGER PRIMARY KEY,
    last_id INTEGER NOT NULL
);
