"""Lists of archived threads: public, private, and the private ones that the bot was invited to.

The first two are ordered by when a thread was archived, the third by id; always the latest first.
"""

from collections.abc import Callable
from datetime import datetime

from sususbot.standin import permissions, render
from sususbot.standin.errors import form_error
from sususbot.standin.objects import Channel, ChannelType
from sususbot.standin.rest import Answer, Call
from sususbot.standin.snowflake import checked_id, created_at, iso

_MOST_PER_PAGE = 100


def get_public(call: Call) -> Answer:
    parent = _parent(call)
    return _page(call, _archived(call, parent, ChannelType.PUBLIC_THREAD), _archived_at, _moment(call))


def get_private(call: Call) -> Answer:
    parent = _parent(call)
    call.need(parent, permissions.MANAGE_THREADS)
    return _page(call, _archived(call, parent, ChannelType.PRIVATE_THREAD), _archived_at, _moment(call))


def get_joined(call: Call) -> Answer:
    threads = _archived(call, _parent(call), ChannelType.PRIVATE_THREAD)
    joined = [thread for thread in threads if call.world.bot.id in thread.members]
    before = call.query.get("before")
    return _page(call, joined, lambda thread: thread.id, None if before is None else checked_id("before", before))


def _parent(call: Call) -> Channel:
    parent = call.channel()
    call.need(parent, permissions.READ_MESSAGE_HISTORY)
    return parent


def _archived(call: Call, parent: Channel, kind: ChannelType) -> list[Channel]:
    threads = [thread for thread in call.world.channels.values() if thread.parent_id == parent.id]
    return [thread for thread in threads if thread.archived and thread.type == kind]


def _archived_at(thread: Channel) -> float:
    """As it is shown, to the microsecond."""
    at = created_at(thread.id) if thread.archived_at is None else thread.archived_at
    return datetime.fromisoformat(iso(at)).timestamp()


def _moment(call: Call) -> float | None:
    raw = call.query.get("before")
    try:
        return None if raw is None else datetime.fromisoformat(raw).timestamp()
    except ValueError:
        raise form_error("before", "DATE_TIME_TYPE_PARSE", f'Could not parse "{raw}". Should be ISO8601.') from None


def _page(call: Call, threads: list[Channel], key: Callable[[Channel], float], before: float | None) -> Answer:
    raw = call.query.get("limit", "50")
    if not raw.isdecimal() or not 2 <= int(raw) <= _MOST_PER_PAGE:
        raise form_error("limit", "NUMBER_TYPE_MAX", "int value should be between 2 and 100.")
    found = sorted((t for t in threads if before is None or key(t) < before), key=key, reverse=True)
    shown = found[: int(raw)]
    body = {"threads": [render.channel_json(call.world, t) for t in shown], "members": []}
    return Answer(body=body | {"has_more": len(found) > len(shown)})
