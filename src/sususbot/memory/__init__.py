"""What the bot knows: recent turns, search over all that was ever said, and the context put together from both."""
