-- What members said about the use of their words, and who is to be forgotten.
-- Never edited once released: a change is a new file.

-- Every answer ever given, by whom and how. NULL: this purpose was not spoken of.
CREATE TABLE consents (
    id INTEGER PRIMARY KEY,
    author_id INTEGER NOT NULL,
    said_by TEXT NOT NULL CHECK (said_by IN ('member', 'owner')),
    way TEXT NOT NULL,
    at INTEGER NOT NULL,
    learn INTEGER,
    remember INTEGER,
    quote INTEGER
);

CREATE INDEX consents_by_author ON consents (author_id);

-- What holds today for those who were asked: a member's own last word before the owner's. NULL: the archive's mode decides.
CREATE TABLE answers (
    author_id INTEGER PRIMARY KEY,
    learn INTEGER,
    remember INTEGER,
    quote INTEGER
);

-- Members whose words are gone and stay gone, whatever is imported later. finished_at: when nothing of them was left on disk.
CREATE TABLE erased (
    author_id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    finished_at INTEGER
);

-- Sources differ in what they know of a channel or server: the most faithful look counts, and of those the newest.
ALTER TABLE guilds ADD COLUMN fidelity INTEGER NOT NULL DEFAULT 0;
ALTER TABLE guilds ADD COLUMN seen_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE channels ADD COLUMN fidelity INTEGER NOT NULL DEFAULT 0;
ALTER TABLE channels ADD COLUMN seen_at INTEGER NOT NULL DEFAULT 0;

-- fetched_at says when reactions and pins were looked at (0: never); this, when the words were.
ALTER TABLE messages ADD COLUMN words_at INTEGER NOT NULL DEFAULT 0;
UPDATE messages SET words_at = fetched_at;
