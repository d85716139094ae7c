-- Full text over what members read. The text itself stays in messages; writers keep both in one transaction.
-- Never edited once released: a change is a new file.

CREATE VIRTUAL TABLE words USING fts5 (
    rendered,
    content = 'messages',
    content_rowid = 'id',
    tokenize = 'porter unicode61'
);

-- Bytes gathered in memory before they are written (1 MiB by itself): fewer pieces to merge during an import.
INSERT INTO words (words, rank) VALUES ('hashsize', 16777216);

INSERT INTO words (words) VALUES ('rebuild');
