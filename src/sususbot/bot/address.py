"""Where Discord is: the real one, unless a stand-in is named. Nothing else of discord.py changes."""

from collections.abc import Iterator
from contextlib import contextmanager

import discord
import yarl


@contextmanager
def discord_at(http_url: str, gateway_url: str) -> Iterator[None]:
    """Within the block every new login and connection goes to these addresses."""
    base, gateway = discord.http.Route.BASE, discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY
    discord.http.Route.BASE = http_url
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway_url)
    try:
        yield
    finally:
        discord.http.Route.BASE = base
        discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = gateway
