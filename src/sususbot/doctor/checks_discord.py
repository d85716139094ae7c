"""Checks against Discord itself: token, intent, the channel, what the bot may do there. Nothing is written there."""

from typing import Any, Final

from sususbot.doctor.findings import Finding, number, ok, skipped, told_by, warning, wrong
from sususbot.errors import DiscordError, IntentMissing, SususError, TokenRefused
from sususbot.settings import Settings
from sususbot.sources.discord_api.api_message import MALFORMED, int64
from sususbot.sources.discord_api.client import Client, Refused
from sususbot.sources.discord_api.identity import invite_link
from sususbot.sources.discord_api.limits import Limiter
from sususbot.sources.discord_api.permissions import Standing, lacking
from sususbot.sources.discord_api.preflight import check_intent, own_id, refusal

# Channel types that are threads; their rights are those of the channel around them.
_THREADS: Final = frozenset({10, 11, 12})
# Errors that are about one of the things looked at -> which.
_CONCERNING: Final[dict[type[SususError], str]] = {TokenRefused: "discord token", IntentMissing: "discord intent"}
_PATIENCE: Final = 10.0
_FEW_SESSIONS: Final = 50


async def discord(settings: Settings) -> list[Finding]:
    """In the order in which one needs the other; the first that is wrong ends it."""
    if settings.discord_token is None:
        return [skipped("discord", "without DISCORD_TOKEN nothing can be asked")]
    found: list[Finding] = []
    try:
        async with Client(settings.discord_token, Limiter(settings.requests_per_second), patience=_PATIENCE) as client:
            bot = await own_id(client)
            found.append(ok("discord token", f"Discord knows the token, of bot {bot}"))
            await check_intent(client)
            found.append(ok("discord intent", "the bot may read what messages say"))
            found.append(await _sessions(client))
            found.append(await _channel(client, bot, settings.channel_id))
    except SususError as error:
        found.append(told_by(_CONCERNING.get(type(error), "discord"), error))
    except (Refused, *MALFORMED) as error:
        found.append(warning("discord", f"Discord answered what is not understood ({error})", "try again in a while"))
    return found


async def _sessions(client: Client) -> Finding:
    """How often the bot may still connect today; at none Discord resets the token."""
    limit = (await client.get("/gateway/bot")).json["session_start_limit"]
    left, total = int(limit["remaining"]), int(limit["total"])
    if left < _FEW_SESSIONS:
        told = f"{number(left, 'session')} of {total:,} are left until the limit is set back"
        return warning("discord sessions", told, "leave the bot off for a day, and read its log")
    return ok("discord sessions", f"{left:,} of {total:,} sessions are left")


async def _channel(client: Client, bot: int, channel_id: int | None) -> Finding:
    name = "discord channel"
    if channel_id is None:
        return skipped(name, "CHANNEL_ID is not set", "right-click the bot's channel, Copy Channel ID, into .env")
    try:
        channel: dict[str, Any] = (await client.get("/channels/{channel_id}", channel_id=channel_id)).json
    except Refused as refused:
        if refused.status == 404:
            step = f"check CHANNEL_ID (right-click it, Copy Channel ID), or invite the bot:  {invite_link(bot)}"
            return wrong(name, f"there is no channel {channel_id}, or the bot is not on its server", step)
        return told_by(name, DiscordError(refusal(str(channel_id), refused)))
    if channel.get("guild_id") is None:
        return wrong(name, f"{channel_id} is no channel of a server", "correct CHANNEL_ID")
    guild_id = int64(channel["guild_id"])
    guild = (await client.get("/guilds/{guild_id}", guild_id=guild_id)).json
    member = (await client.get("/guilds/{guild_id}/members/{user_id}", guild_id=guild_id, user_id=bot)).json
    thread = channel.get("type") in _THREADS
    around = await _parent(client, channel) if thread else channel
    missing = lacking(Standing.read(guild, member, bot).permissions(around), thread=thread)
    if missing:
        told = f"in #{channel['name']} the bot lacks: {', '.join(missing)}"
        step = f"give its role these rights in the channel's settings, or invite it anew:  {invite_link(bot)}"
        return wrong(name, told, step)
    return ok(name, f"the bot may read and write in #{channel['name']} of {guild['name']}")


async def _parent(client: Client, thread: dict[str, Any]) -> dict[str, Any]:
    parent: dict[str, Any] = (await client.get("/channels/{channel_id}", channel_id=int64(thread["parent_id"]))).json
    return parent
