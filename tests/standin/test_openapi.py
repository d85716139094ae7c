"""Every route's answers against the published description; the other tests of this folder are checked along the way."""

from typing import Any

import jsonschema
import pytest

from sususbot.standin import permissions
from sususbot.standin.api import Validator
from sususbot.standin.objects import Channel, ChannelType, Interaction
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.routes import ROUTES
from sususbot.standin.server import StandIn, WrongAnswer
from tests.standin import openapi
from tests.standin.clients import Rest
from tests.standin.conftest import Place


@pytest.fixture(scope="module")
def described() -> Validator:
    try:
        return openapi.load()
    except openapi.NoDescription as reason:
        pytest.skip(str(reason))


async def test_every_route_validates(described: Validator, place: Place) -> None:
    checked: set[tuple[str, str]] = set()
    with_body: set[tuple[str, str]] = set()

    def validator(method: str, template: str, status: int, body: Any) -> None:
        checked.add((method, template))
        described(method, template, status, body)

    for kind in (ChannelType.VOICE, ChannelType.CATEGORY, ChannelType.NEWS, ChannelType.FORUM):
        place.world.add_channel(kind.name.lower(), type=kind)
    thread = place.world.add_thread(place.general, "side")
    place.world.archive(place.world.add_thread(place.general, "closed", private=True))
    place.world.archive(place.world.add_thread(place.general, "old"))
    place.world.allow_everyone(permissions.ORDINARY | permissions.MANAGE_THREADS)
    async with StandIn(place.world, rate=RateLimits.none(), validator=validator) as server, Rest(server) as rest:
        server.say(place.general, place.ada, f"{place.bob.mention} look", mentions=[place.ada])
        for route in ROUTES:
            for channel in (place.general, thread):
                target = server.say(channel, place.world.bot, "target")
                server.react(target, place.bob, "👍")
                server.react(target, place.bob, "party:123456")
                used = await used_command(server, rest, channel)
                answered = "callback" not in route.template
                if answered:
                    await rest("POST", f"/interactions/{used.id}/{used.token}/callback", {"type": 4, "data": BODY})
                path = route.template.format(
                    guild_id=place.world.guild_id,
                    channel_id=channel.id,
                    message_id=used.answers[0].id if answered and "webhook" in route.template else target.id,
                    emoji_name="👍",
                    user_id=place.bob.id,
                    application_id=place.world.application_id,
                    interaction_id=used.id,
                    interaction_token=used.token,
                    webhook_id=place.world.application_id,
                    webhook_token=used.token,
                )
                body: Any = {**BODY, "nonce": "1", "message_reference": {"message_id": str(target.id)}}
                if route.listed:
                    body = [WHY]
                if not answered:
                    path, body = f"{path}?with_response=1", {"type": 4, "data": BODY}
                response = await rest(route.method, path, body if route.method in ("POST", "PATCH", "PUT") else None)
                assert response.status in (200, 204), (route.template, response.text)
                if response.status == 200:
                    with_body.add((route.method, route.template))
    assert checked == with_body
    assert len(with_body) == len(ROUTES) - 6


BODY = {"content": "hi", "components": [{"type": 1, "components": [{"type": 2, "style": 4, "custom_id": "a"}]}]}
WHY = {
    "name": "why",
    "description": "Why it said that.",
    "options": [{"type": 3, "name": "of", "description": "What."}],
}


async def used_command(server: StandIn, rest: Rest, channel: Channel) -> Interaction:
    world = server.world
    commands = f"/applications/{world.application_id}/guilds/{world.guild_id}/commands"
    await rest("PUT", commands, [WHY])
    return server.command(channel, world.owner, "why")


async def test_refusals_validate(described: Validator, place: Place) -> None:
    async with StandIn(place.world, rate=RateLimits.fast(1, 60.0), validator=described) as server, Rest(server) as rest:
        for _ in range(2):
            await rest("POST", f"/channels/{place.general.id}/messages", {"content": "x" * 3000})
            await rest("GET", f"/channels/{place.secret.id}/messages")
            await rest("GET", "/channels/1")
        assert {entry.status for entry in server.ledger.requests} == {400, 403, 404, 429}


async def test_a_wrong_answer_is_reported_on_leaving(described: Validator, place: Place) -> None:
    place.world.post(place.general, place.ada, "odd", extra={"author": {"id": "1"}})
    with pytest.raises(WrongAnswer, match="username"):
        async with StandIn(place.world, validator=described) as server, Rest(server) as rest:
            await rest("GET", f"/channels/{place.general.id}/messages")


async def test_a_mistake_of_the_stand_in_is_reported_too(place: Place) -> None:
    with pytest.raises(WrongAnswer, match="broke the stand-in"):
        async with StandIn(place.world) as server, Rest(server) as rest:
            await rest("POST", f"/channels/{place.general.id}/messages", {"content": "x", "embeds": 5})


async def test_exceptions_are_not_checked(described: Validator, place: Place) -> None:
    place.world.post(place.general, place.ada, "new kind", type=99)
    reference = {"type": 1, "message_id": "1", "channel_id": "2"}
    place.world.post(place.general, place.ada, "", extra={"message_reference": reference})
    async with StandIn(place.world, validator=described) as server, Rest(server) as rest:
        assert (await rest("GET", f"/channels/{place.general.id}/messages")).status == 200


def test_the_description_does_refuse(described: Validator) -> None:
    with pytest.raises(jsonschema.ValidationError):
        described("GET", "/users/@me", 200, {"id": "1"})
