-- One embedding a message, float16, unit length. A row lives and dies with its message's words.
-- Never edited once released: a change is a new file.

CREATE TABLE vectors (
    message_id INTEGER PRIMARY KEY REFERENCES messages (id),
    vector BLOB NOT NULL
);

-- Facts about the archive as a whole: which embedder made the vectors.
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
