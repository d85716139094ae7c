-- How far a channel's history was collected through the API: every message from `low` to `high`, both taken in, was
-- seen. `complete`: nothing is older than `low`. Written in the transaction of the page that led there.
-- Never edited once released: a change is a new file.

CREATE TABLE checkpoints (
    channel_id INTEGER PRIMARY KEY,
    low INTEGER NOT NULL,
    high INTEGER NOT NULL,
    complete INTEGER NOT NULL
);
