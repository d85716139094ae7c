"""Permission bits and how they add up in one channel.

Discord's order: the base of all roles, then the channel's overwrites for @everyone, for roles, for the member.
Timeouts, ownership and role hierarchy are not modelled.
"""

from collections.abc import Iterable
from dataclasses import dataclass

ADD_REACTIONS = 1 << 6
ADMINISTRATOR = 1 << 3
MANAGE_GUILD = 1 << 5
VIEW_CHANNEL = 1 << 10
SEND_MESSAGES = 1 << 11
MANAGE_MESSAGES = 1 << 13
READ_MESSAGE_HISTORY = 1 << 16
MENTION_EVERYONE = 1 << 17
MANAGE_THREADS = 1 << 34
SEND_MESSAGES_IN_THREADS = 1 << 38

ALL = (1 << 53) - 1
ORDINARY = VIEW_CHANNEL | SEND_MESSAGES | READ_MESSAGE_HISTORY | ADD_REACTIONS | SEND_MESSAGES_IN_THREADS
"""What @everyone may do in a fresh guild here: no pinging of everyone."""


@dataclass(frozen=True, slots=True)
class Overwrite:
    """A change for one role or, when `member` is set, one member. The guild's own id stands for @everyone."""

    target_id: int
    allow: int = 0
    deny: int = 0
    member: bool = False


def effective(
    everyone_id: int, base: int, role_ids: Iterable[int], member_id: int, overwrites: Iterable[Overwrite]
) -> int:
    """The bits a member holds in a channel with these overwrites; `base` is the union over the member's roles."""
    if base & ADMINISTRATOR:
        return ALL
    held = set(role_ids)
    found = list(overwrites)
    layers = (
        [o for o in found if not o.member and o.target_id == everyone_id],
        [o for o in found if not o.member and o.target_id in held],
        [o for o in found if o.member and o.target_id == member_id],
    )
    for layer in layers:
        deny = allow = 0
        for overwrite in layer:
            deny |= overwrite.deny
            allow |= overwrite.allow
        base = base & ~deny | allow
    return base if base & VIEW_CHANNEL else 0
