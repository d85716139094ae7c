"""What the bot may do, computed from Discord's objects, is what the stand-in would allow."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sususbot.sources.discord_api.permissions import VIEW_CHANNEL, Standing
from sususbot.standin import permissions, render
from sususbot.standin.permissions import Overwrite
from sususbot.standin.world import World

bits = st.integers(0, (1 << 18) - 1)


def standing(world: World) -> Standing:
    return Standing.read(render.guild_json(world), render.guild_member_json(world, world.bot), world.bot.id)


@given(
    everyone=bits,
    granted=st.lists(bits, min_size=2, max_size=2),
    changes=st.lists(st.tuples(st.sampled_from(["everyone", "one", "two", "bot", "other"]), bits, bits), max_size=5),
)
def test_the_same_as_the_stand_in_decides(
    everyone: int, granted: list[int], changes: list[tuple[str, int, int]]
) -> None:
    world = World()
    roles = {"one": world.add_role("one", grants=granted[0]), "two": world.add_role("two", grants=granted[1])}
    world.allow_everyone(everyone)
    world.bot = world.add_user("bot", bot=True, roles=[roles["one"]])
    ids = {"everyone": world.guild_id, "bot": world.bot.id, "other": world.owner.id}
    ids |= {name: role.id for name, role in roles.items()}
    overwrites = {
        name: Overwrite(ids[name], allow, deny, member=name in ("bot", "other")) for name, allow, deny in changes
    }
    channel = world.add_channel("any", overwrites=list(overwrites.values()))
    found = standing(world).permissions(render.channel_json(world, channel))
    expected = world.permissions(world.bot, channel)
    if expected == permissions.ALL:
        assert found & permissions.ALL == permissions.ALL
    else:
        assert found == expected


def test_administrators_and_owners_may_everything() -> None:
    world = World()
    channel = render.channel_json(world, world.add_channel("hidden", private=True))
    assert standing(world).permissions(channel) == 0
    world.allow_everyone(permissions.ADMINISTRATOR)
    assert standing(world).permissions(channel) & VIEW_CHANNEL
    world.allow_everyone(0)
    world.owner = world.bot
    assert standing(world).permissions(channel) & VIEW_CHANNEL


@pytest.mark.parametrize("member", [{}, {"roles": None}, {"roles": ["x"]}])
def test_an_odd_member_is_an_error_that_callers_expect(member: dict[str, Any]) -> None:
    world = World()
    with pytest.raises((KeyError, TypeError, ValueError)):
        Standing.read(render.guild_json(world), member, world.bot.id)
