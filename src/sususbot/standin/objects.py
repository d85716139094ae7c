"""The things a guild is made of: users, roles, channels, messages, and who a message pings.

Plain values without behaviour beyond reading themselves. How they look on the wire is `render`, what may happen to them
is `world`.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from sususbot.standin.history import History
from sususbot.standin.permissions import Overwrite

Json = dict[str, Any]


class ChannelType(IntEnum):
    TEXT = 0
    VOICE = 2
    CATEGORY = 4
    NEWS = 5
    PUBLIC_THREAD = 11
    PRIVATE_THREAD = 12
    STAGE = 13
    FORUM = 15


class InteractionType(IntEnum):
    COMMAND = 2
    COMPONENT = 3


class CallbackType(IntEnum):
    """How a bot may answer an interaction first."""

    MESSAGE = 4
    DEFERRED = 5
    DEFERRED_UPDATE = 6
    UPDATE = 7


class MessageType(IntEnum):
    DEFAULT = 0
    PIN = 6
    JOIN = 7
    REPLY = 19
    COMMAND = 20
    THREAD_STARTER = 21


@dataclass(frozen=True, slots=True)
class User:
    id: int
    name: str
    display: str | None = None
    nick: str | None = None
    bot: bool = False
    roles: tuple[int, ...] = ()

    @property
    def mention(self) -> str:
        return f"<@{self.id}>"


@dataclass(frozen=True, slots=True)
class Role:
    id: int
    name: str
    permissions: int = 0
    mentionable: bool = False
    position: int = 1

    @property
    def mention(self) -> str:
        return f"<@&{self.id}>"


@dataclass(frozen=True, slots=True)
class Pings:
    """Whom a message notifies."""

    users: tuple[int, ...] = ()
    roles: tuple[int, ...] = ()
    everyone: bool = False

    def __or__(self, other: "Pings") -> "Pings":
        return Pings(
            tuple(dict.fromkeys(self.users + other.users)),
            tuple(dict.fromkeys(self.roles + other.roles)),
            self.everyone or other.everyone,
        )


NOBODY = Pings()


@dataclass(frozen=True, slots=True)
class Reference:
    """What a message points at: for a reply, the message replied to."""

    message_id: int
    channel_id: int
    type: int = 0


@dataclass(slots=True, eq=False)
class Message:
    id: int
    channel_id: int
    author: User
    content: str
    type: int = MessageType.DEFAULT
    pings: Pings = NOBODY
    ever_pinged: Pings = NOBODY
    """Every ping of every version: an edit that adds a mention counts, though Discord would not notify again."""
    reference: Reference | None = None
    edited: float | None = None
    nonce: str | None = None
    webhook_id: int | None = None
    embeds: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    reactions: dict[str, list[int]] = field(default_factory=dict)
    allowed_mentions: Json | None = None
    flags: int = 0
    components: list[Json] = field(default_factory=list)
    extra: Json = field(default_factory=dict)
    """Raw fields laid over the rendered message, for shapes this world does not model."""

    @property
    def pinged_users(self) -> tuple[int, ...]:
        return self.ever_pinged.users

    @property
    def pinged_roles(self) -> tuple[int, ...]:
        return self.ever_pinged.roles

    @property
    def pinged_everyone(self) -> bool:
        return self.ever_pinged.everyone


@dataclass(slots=True, eq=False)
class Channel:
    id: int
    name: str
    history: History[Message]
    type: int = ChannelType.TEXT
    position: int = 0
    topic: str | None = None
    parent_id: int | None = None
    overwrites: list[Overwrite] = field(default_factory=list)
    owner_id: int | None = None
    archived: bool = False
    locked: bool = False
    archived_at: float | None = None
    """When a thread was archived or, as Discord has it, woken; None is when it was made."""
    members: set[int] = field(default_factory=set)
    """Who was invited to a private thread."""

    @property
    def is_thread(self) -> bool:
        return self.type in (ChannelType.PUBLIC_THREAD, ChannelType.PRIVATE_THREAD)

    @property
    def mention(self) -> str:
        return f"<#{self.id}>"


@dataclass(slots=True, eq=False)
class Interaction:
    """A command that a member used or a button that they pressed, and what the bot answered."""

    id: int
    token: str
    type: InteractionType
    channel: Channel
    user: User
    data: Json
    pressed: Message | None = None
    """The message whose button was pressed."""
    acknowledged: CallbackType | None = None
    """The first answer, None while there is none."""
    deferred: bool = False
    waits: bool = False
    """The member sees that the bot is thinking: the answer was promised and is not there yet."""
    ephemeral: bool = False
    """Whether the last answer, or the promised one, is for the member alone."""
    answers: list[Message] = field(default_factory=list)
    """What stands there now, the first answer first."""

    @property
    def text(self) -> str:
        """All that the member reads, "" while the answer is not there."""
        return "" if self.waits else "\n".join(message.content for message in self.answers)
