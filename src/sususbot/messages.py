"""The values that flow through every room: frozen, compared by content, free of behaviour that needs a store.

Times are milliseconds since 1970-01-01 UTC, ids are Discord snowflakes as signed 64-bit integers.
Identity, storage and rendering for a model live elsewhere (`archive/`, `chat_format`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Literal

# Discord's own epoch, 2015-01-01T00:00:00Z: the upper 42 bits of an id count milliseconds from here.
DISCORD_EPOCH_MS: Final = 1_420_070_400_000

# Message types that people write; every other type is system text (joins, pins, calls, …).
DEFAULT_TYPE: Final = 0
REPLY_TYPE: Final = 19
WRITTEN_TYPES: Final = frozenset({DEFAULT_TYPE, REPLY_TYPE})
# What a member had the bot write down (/remember): Discord has no such message, so the number is none of Discord's.
NOTE_TYPE: Final = -1
# What may be found again. A note was not said in its channel: it is no part of the talk there, nor of a corpus.
LORE_TYPES: Final = WRITTEN_TYPES | {NOTE_TYPE}

# Channel types by Discord's number, under the names that exports have for them.
CHANNEL_TYPES: Final = {
    0: "GuildTextChat",
    2: "GuildVoiceChat",
    5: "GuildNews",
    10: "GuildNewsThread",
    11: "GuildPublicThread",
    12: "GuildPrivateThread",
    13: "GuildStageVoice",
    15: "GuildForum",
    16: "GuildMedia",
}
THREADS: Final = frozenset({10, 11, 12})
# Channels and threads in which messages stand: what is read of a server, and heard.
SPOKEN: Final = frozenset({0, 2, 5, 13}) | THREADS
THREAD_TYPES: Final = frozenset(CHANNEL_TYPES[kind] for kind in THREADS)

# How a message came here: Discord's API, a running bot, an exporter's file (JSON or CSV), a member's own data package,
# or lines of JSON that do not say.
Origin = Literal["api", "gateway", "export", "csv", "package", "jsonl"]

# The channels whose messages the readers of an answer may see; None means all of them (the owner's own terminal).
Audience = frozenset[int] | None


@dataclass(frozen=True, slots=True)
class Guild:
    """A Discord server."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel or thread; `parent_id` is a thread's channel, or a channel's category."""

    id: int
    guild_id: int
    name: str
    type: str = "GuildTextChat"
    parent_id: int | None = None
    topic: str | None = None


@dataclass(frozen=True, slots=True)
class Author:
    """An account. `display_name` is what members read; it changes, so only `id` identifies."""

    id: int
    name: str
    display_name: str
    is_bot: bool = False


@dataclass(frozen=True, slots=True)
class Reaction:
    """One emoji under a message and how many members chose it."""

    emoji: str
    count: int


@dataclass(frozen=True, slots=True)
class Attachment:
    """What is known of an attached file; the file itself is never fetched."""

    id: int
    filename: str
    size: int
    url: str


@dataclass(frozen=True, slots=True)
class Message:
    """One Discord message.

    `content` is Discord's raw text (`<@id>` for a mention), `rendered` what a member reads (`@mia`).
    """

    id: int
    channel_id: int
    author: Author
    created_at: int
    content: str
    rendered: str
    type: int = DEFAULT_TYPE
    edited_at: int | None = None
    reply_to: int | None = None
    pinned: bool = False
    mentions: tuple[int, ...] = ()
    reactions: tuple[Reaction, ...] = ()
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """What one member said at once, before it is rendered for a model.

    `own` marks the bot's own words. `message_id` is None for what is on no server (terminal, tests). `account` is the
    account's name, for where two speakers are called alike.
    """

    speaker: str
    text: str
    at: int
    own: bool = False
    message_id: int | None = None
    author_id: int | None = None
    account: str = ""
    reply_to: int | None = None


def iso_ms(text: str) -> int:
    """An ISO 8601 time with offset, as exporters and Discord write it, in ms since 1970 UTC."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def day(ms: int) -> str:
    """A time as people write a date: `3 Mar 2024`."""
    return _date(ms // 86_400_000)


@lru_cache(1024)
def _date(days: int) -> str:
    moment = datetime.fromtimestamp(days * 86_400, UTC)
    return f"{moment.day} {moment:%b %Y}"


def joined_names(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`: a list as a sentence has it."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
