"""Points the real discord.py at a stand-in and back; nothing else of it is touched."""

from collections.abc import Iterator
from contextlib import contextmanager

import discord as discord  # re-exported: every test takes it from here

from sususbot.bot.address import discord_at
from sususbot.standin.server import StandIn


@contextmanager
def pointed_at(server: StandIn) -> Iterator[None]:
    """Within the block every new login and connection goes to `server`."""
    with discord_at(server.http_url, server.gateway_url):
        yield
