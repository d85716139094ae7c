-- Messages that were deleted on Discord, or say something else there by now, and may stand in files that were made before.
-- Never edited once released: a change is a new file.

-- Only ids. Nothing is left that was made of the old words once they are settled; they stay a day longer, for what is
-- being made of them just then.
CREATE TABLE withdrawn (
    message_id INTEGER PRIMARY KEY,
    noted_at INTEGER NOT NULL,
    done_at INTEGER
);
