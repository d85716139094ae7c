"""The Discord surface: when to speak (`policy`), how it looks (`rendering`), what is kept (`keeper`), the connection.

In: events from Discord's gateway. Out: replies, signs, and everything said in the channel kept in the archive.
`discord` is imported nowhere else.
"""
