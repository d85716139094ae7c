"""Points the real discord.py at a stand-in and back; nothing else of it is touched."""

from collections.abc import Iterator
from contextlib import contextmanager

import discord
import yarl

from sususbot.standin.server import StandIn


@contextmanager
def pointed_at(server: StandIn) -> Iterator[None]:
    """Within the block every new login and connection goes to `server`."""
    base, gateway = discord.http.Route.BASE, discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY
    discord.http.Route.BASE = server.http_url
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(server.gateway_url)
    try:
        yield
    finally:
        discord.http.Route.BASE = base
        discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = gateway
