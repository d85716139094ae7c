"""Messages at rest: SQLite with full text and vectors, in one file and one transaction.

In: `Message` values. Out: the same, by id, by channel, by words. `sqlite3` is imported nowhere else.
"""
