-- Messages as Discord has them. Times are ms since 1970 UTC; lists are JSON, NULL when empty.
-- Never edited once released: a change is a new file.

CREATE TABLE guilds (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL
);

CREATE TABLE channels (
    id INTEGER PRIMARY KEY,
    guild_id INTEGER NOT NULL REFERENCES guilds (id),
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    parent_id INTEGER,
    topic TEXT
);

-- The newest name each account was seen with; all names it ever had stand in author_names.
CREATE TABLE authors (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    display_name TEXT NOT NULL,
    is_bot INTEGER NOT NULL,
    named_at INTEGER NOT NULL
);

CREATE TABLE author_names (
    author_id INTEGER NOT NULL REFERENCES authors (id),
    display_name TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (author_id, display_name)
) WITHOUT ROWID;

-- Where rows came from: 'export' (a file), 'gateway' (a running bot).
CREATE TABLE sources (
    id INTEGER PRIMARY KEY,
    origin TEXT NOT NULL,
    name TEXT NOT NULL,
    started_at INTEGER NOT NULL
);

CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    channel_id INTEGER NOT NULL REFERENCES channels (id),
    author_id INTEGER NOT NULL REFERENCES authors (id),
    type INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    edited_at INTEGER,
    deleted_at INTEGER,        -- a tombstone: the row stays, its words do not
    content TEXT NOT NULL,     -- raw, as Discord keeps it
    rendered TEXT NOT NULL,    -- as members read it
    reply_to INTEGER,
    pinned INTEGER NOT NULL,
    mentions TEXT,             -- [author id, …]
    reactions TEXT,            -- [[emoji, count], …]
    attachments TEXT,          -- [[id, file name, bytes, url], …]
    source_id INTEGER NOT NULL REFERENCES sources (id),
    fetched_at INTEGER NOT NULL
);

CREATE INDEX messages_by_channel ON messages (channel_id, id);
CREATE INDEX messages_by_author ON messages (author_id);
CREATE INDEX messages_by_reply ON messages (reply_to) WHERE reply_to IS NOT NULL;
