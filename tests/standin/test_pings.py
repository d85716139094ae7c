"""Who is pinged: the truth table over what a message says and what its sender allowed."""

from typing import Any

import pytest

from sususbot.standin import permissions
from sususbot.standin.errors import ApiError
from sususbot.standin.pings import Allowed, find_pings, parse_allowed
from sususbot.standin.server import StandIn
from tests.standin.clients import Rest
from tests.standin.conftest import Place

ADA, BOB, MODS = 11, 12, 21
TEXT = f"<@{ADA}> <@!{BOB}> <@&{MODS}> @everyone"


@pytest.mark.parametrize(
    ("allowed", "users", "roles", "everyone"),
    [
        (None, (ADA, BOB), (MODS,), True),
        ({}, (), (), False),
        ({"parse": []}, (), (), False),
        ({"parse": ["users"]}, (ADA, BOB), (), False),
        ({"parse": ["roles"]}, (), (MODS,), False),
        ({"parse": ["everyone"]}, (), (), True),
        ({"parse": ["users", "roles", "everyone"]}, (ADA, BOB), (MODS,), True),
        ({"users": [str(BOB)]}, (BOB,), (), False),
        ({"parse": [], "users": [ADA], "roles": [MODS]}, (ADA,), (MODS,), False),
        ({"parse": ["everyone"], "users": [ADA]}, (ADA,), (), True),
        ({"parse": ["users"], "users": []}, (ADA, BOB), (), False),
        ({"users": ["999"]}, (), (), False),
    ],
)
def test_allowed_mentions(allowed: Any, users: tuple[int, ...], roles: tuple[int, ...], everyone: bool) -> None:
    pings = find_pings(TEXT, parse_allowed(allowed), users={ADA, BOB}, roles={MODS}, may_ping_everyone=True)
    assert (pings.users, pings.roles, pings.everyone) == (users, roles, everyone)


@pytest.mark.parametrize(
    ("allowed", "pinged"),
    [
        (None, True),
        ({"parse": []}, False),
        ({"replied_user": False}, False),
        ({"parse": [], "replied_user": True}, True),
    ],
)
def test_the_author_replied_to(allowed: Any, pinged: bool) -> None:
    pings = find_pings("hi", parse_allowed(allowed), users={ADA}, roles=(), may_ping_everyone=False, replied_to=ADA)
    assert pings.users == ((ADA,) if pinged else ())


@pytest.mark.parametrize("content", ["@everyone", "@here now", "`@everyone`"])
def test_everyone_needs_the_permission(content: str) -> None:
    for may in (True, False):
        pings = find_pings(content, Allowed(), users=(), roles=(), may_ping_everyone=may)
        assert pings.everyone is may


@pytest.mark.parametrize("content", ["<@999>", "<@&999>", "@ada", "<@>", "everyone"])
def test_what_exists_not_or_says_nothing_pings_nobody(content: str) -> None:
    pings = find_pings(content, Allowed(), users={ADA}, roles={MODS}, may_ping_everyone=True)
    assert (pings.users, pings.roles, pings.everyone) == ((), (), False)


@pytest.mark.parametrize(
    "raw",
    [
        {"parse": ["users"], "users": ["1"]},
        {"parse": ["all"]},
        {"roles": list(range(101))},
        {"parse": "users"},
        [],
        {"users": ["x"]},
    ],
)
def test_contradictions_are_refused(raw: Any) -> None:
    with pytest.raises(ApiError) as caught:
        parse_allowed(raw)
    assert (caught.value.status, caught.value.code) == (400, 50035)


async def test_what_the_bot_sends_is_kept_with_its_pings(server: StandIn, place: Place, rest: Rest) -> None:
    role = place.world.add_role("mods", mentionable=True)
    shy = place.world.add_role("shy")
    place.world.allow_everyone(permissions.ORDINARY | permissions.MENTION_EVERYONE)
    path = f"/channels/{place.general.id}/messages"
    content = f"{place.ada.mention} {role.mention} {shy.mention} @here"
    loud = await rest("POST", path, {"content": content})
    quiet = await rest("POST", path, {"content": content, "allowed_mentions": {"parse": []}})
    first, second = server.sent(place.general)
    assert first.pinged_users == (place.ada.id,)
    assert first.pinged_roles == (role.id, shy.id)
    assert first.pinged_everyone
    assert [user["id"] for user in loud.json["mentions"]] == [str(place.ada.id)]
    assert loud.json["mention_everyone"] is True
    assert (second.pinged_users, second.pinged_roles, second.pinged_everyone) == ((), (), False)
    assert quiet.json["mentions"] == []


async def test_an_edit_that_adds_a_mention_is_remembered(server: StandIn, place: Place, rest: Rest) -> None:
    path = f"/channels/{place.general.id}/messages"
    sent = await rest("POST", path, {"content": "hello"})
    await rest("PATCH", f"{path}/{sent.json['id']}", {"content": place.bob.mention})
    await rest("PATCH", f"{path}/{sent.json['id']}", {"content": "hello again"})
    (message,) = server.sent(place.general)
    assert message.pings.users == ()
    assert message.pinged_users == (place.bob.id,)
