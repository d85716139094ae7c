-- Full text over what members read. The text itself stays in messages; writers keep both in one transaction.

CREATE VIRTUAL TABLE words USING fts5 (
    rendered,
    content = 'messages',
    content_rowid = 'id',
    tokenize = 'porter unicode61'
);

INSERT INTO words (words) VALUES ('rebuild');
