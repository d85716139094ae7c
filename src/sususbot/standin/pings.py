"""Who is pinged: from a content, its `allowed_mentions`, and the author of the message replied to.

The truth that tests assert on. A mention inside code is counted as well, which is stricter than Discord.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sususbot.standin.errors import ApiError, form_error
from sususbot.standin.objects import Pings
from sususbot.standin.snowflake import checked_id

_USER = re.compile(r"<@!?(\d+)>")
_ROLE = re.compile(r"<@&(\d+)>")
_EVERYONE = re.compile(r"@(?:everyone|here)\b")
_KINDS = frozenset({"users", "roles", "everyone"})
_MOST_IDS = 100


@dataclass(frozen=True, slots=True)
class Allowed:
    """`allowed_mentions` understood: an absent set of ids means every id of that kind."""

    users: frozenset[int] | None = None
    roles: frozenset[int] | None = None
    everyone: bool = True
    replied_user: bool = True


def parse_allowed(raw: Any) -> Allowed:
    """Discord's reading: no object allows everything, an object allows only what it names."""
    if raw is None:
        return Allowed()
    if not isinstance(raw, dict):
        raise form_error("allowed_mentions", "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
    kinds = raw.get("parse") or []
    if not isinstance(kinds, list) or not _KINDS.issuperset(kinds):
        raise form_error("allowed_mentions.parse", "BASE_TYPE_CHOICES", "Value must be one of users, roles, everyone.")
    return Allowed(
        users=_ids(raw, kinds, "users"),
        roles=_ids(raw, kinds, "roles"),
        everyone="everyone" in kinds,
        replied_user=bool(raw.get("replied_user", False)),
    )


def _ids(raw: dict[str, Any], kinds: Collection[str], name: str) -> frozenset[int] | None:
    listed = raw.get(name) or []
    if name in kinds and listed:
        raise _mutually_exclusive(name)
    if len(listed) > _MOST_IDS:
        raise form_error(f"allowed_mentions.{name}", "BASE_TYPE_MAX_LENGTH", "Must be 100 or fewer in length.")
    return None if name in kinds else frozenset(checked_id(f"allowed_mentions.{name}", id_) for id_ in listed)


def _mutually_exclusive(name: str) -> ApiError:
    message = f'parse:["{name}"] and {name}: [ids...] are mutually exclusive.'
    return form_error("allowed_mentions", "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", message)


def find_pings(
    content: str,
    allowed: Allowed,
    *,
    users: Collection[int],
    roles: Collection[int],
    may_ping_everyone: bool,
    replied_to: int | None = None,
) -> Pings:
    """`users` and `roles` are those that exist and may be mentioned by this author."""
    if "@" not in content:
        named_users, named_roles = [], []
    else:
        named_users = [int(id_) for id_ in _USER.findall(content)]
        named_roles = [int(id_) for id_ in _ROLE.findall(content)]
    pinged = [id_ for id_ in named_users if id_ in users and (allowed.users is None or id_ in allowed.users)]
    if replied_to is not None and allowed.replied_user:
        pinged.append(replied_to)
    return Pings(
        users=tuple(dict.fromkeys(pinged)),
        roles=tuple(
            dict.fromkeys(
                id_ for id_ in named_roles if id_ in roles and (allowed.roles is None or id_ in allowed.roles)
            )
        ),
        everyone=may_ping_everyone and allowed.everyone and _EVERYONE.search(content) is not None,
    )
