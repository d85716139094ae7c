"""Logging of a running bot: one line an event on stderr, never a token, never what members wrote."""

import logging


def configure(level: str) -> None:
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    # discord.py logs payloads at DEBUG and every request's bucket at INFO.
    logging.getLogger("discord").setLevel(max(logging.WARNING, logging.getLevelName(level)))
