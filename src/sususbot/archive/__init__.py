"""Messages at rest: SQLite with vectors, terms and links beside them, in one file and one transaction.

In: `Message` values. Out: the same, by id, by channel. `sqlite3` is imported nowhere else.
"""
