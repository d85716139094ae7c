"""What must be right before anything is collected, and one sentence for each thing that is not.

Two failures look like success: without the message content intent Discord answers 200 with empty words, and without the
right to read the history 200 with an empty page. So the intent is asked for, and no empty page is believed unseen.
"""

from typing import Final

from sususbot.errors import IntentMissing
from sususbot.sources.discord_api.api_message import int64
from sususbot.sources.discord_api.client import Client, Refused

# GATEWAY_MESSAGE_CONTENT and its form for bots on few servers; Discord's documents, "Application Flags".
_MESSAGE_CONTENT: Final = 1 << 18 | 1 << 19

UNKNOWN_CHANNEL: Final = 10003


class Unreadable(Exception):
    """One channel cannot be read; the sentence says why and what to do."""


async def own_id(client: Client) -> int:
    """The bot's id. Raises TokenRefused."""
    return int64((await client.get("/users/@me")).json["id"])


async def check_intent(client: Client) -> None:
    """Raises IntentMissing where Discord would leave out the words of all messages."""
    flags = int((await client.get("/applications/@me")).json.get("flags") or 0)
    if not flags & _MESSAGE_CONTENT:
        raise IntentMissing(
            "Discord hides the words of all messages from this bot: switch on Message Content Intent on the developer "
            "portal's Bot page, then run the same command again"
        )


async def check_history(client: Client, channel_id: int, name: str, message_id: int) -> bool:
    """Prove by one message, there or not, that an empty page is no hidden one; gives whether the message is there.

    Raises Unreadable without READ_MESSAGE_HISTORY.
    """
    try:
        await client.get("/channels/{channel_id}/messages/{message_id}", channel_id=channel_id, message_id=message_id)
    except Refused as refused:
        if refused.status == 403:
            raise Unreadable(no_history(name)) from refused
        if refused.code == UNKNOWN_CHANNEL:
            raise Unreadable(gone(name)) from refused
        return False
    return True


def no_history(name: str) -> str:
    return (
        f"the bot may not read what was said in #{name}: give its role Read Message History there, then run the same "
        "command again"
    )


def unreadable(name: str, *, right: str = "View Channel") -> str:
    return f"the bot may not read #{name}: give its role {right} there, then run the same command again"


def gone(name: str) -> str:
    return (
        f"#{name} does not exist any more, and what was read of it is kept: sususbot backfill --verify  takes it away"
    )


def buried(name: str) -> str:
    return f"#{name} does not exist any more, and its words are taken away: take it out of CHANNELS and CHANNEL_ID"


def refusal(name: str, refused: Refused) -> str:
    """What a refused channel is told as."""
    return gone(name) if refused.status == 404 else unreadable(name)
