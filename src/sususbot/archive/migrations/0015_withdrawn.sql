-- Messages that were deleted on Discord, or say something else there by now, and may stand in files that were made before.
-- Never edited once released: a change is a new file.

-- Only ids, and only until nothing is left that was made of the old words.
CREATE TABLE withdrawn (
    message_id INTEGER PRIMARY KEY
);
