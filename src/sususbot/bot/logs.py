"""Logging of a running bot: one line an event on stderr, never a token, never what members wrote."""

import logging


def configure(level: str) -> None:
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    # At INFO these tell of every request: discord.py with payloads, httpx with addresses that may hold a password.
    for name in ("discord", "httpx", "httpcore", "chromadb"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    # That voice is not installed is no news for a bot that writes.
    logging.getLogger("discord.client").setLevel(logging.ERROR)
