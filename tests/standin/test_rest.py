"""Each route as a bare HTTP client sees it: what it answers, and with which code it refuses."""

from typing import Any

import aiohttp
import pytest

from sususbot.standin import permissions
from sususbot.standin.objects import MessageType
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from sususbot.standin.snowflake import TickingClock
from sususbot.standin.world import NONCE_WINDOW, World
from tests.standin.clients import AGENT, Response, Rest
from tests.standin.conftest import Place


def messages(place: Place) -> str:
    return f"/channels/{place.general.id}/messages"


def refusal(response: Response) -> tuple[int, int]:
    return response.status, response.json["code"]


async def test_json_is_announced_without_a_charset(rest: Rest) -> None:
    response = await rest("GET", "/users/@me")
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Via"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"User-Agent": AGENT}, (401, 0)),
        ({"User-Agent": AGENT, "Authorization": "Bot wrong"}, (401, 0)),
        ({"User-Agent": "python", "Authorization": "Bot wrong"}, (403, 40333)),
    ],
)
async def test_callers_are_checked(
    server: StandIn, rest: Rest, headers: dict[str, str], expected: tuple[int, int]
) -> None:
    assert refusal(await rest("GET", "/users/@me", headers=headers)) == expected
    assert server.ledger.invalid == 1


async def test_the_application_tells_of_the_content_intent(place: Place, rest: Rest) -> None:
    for allowed in (True, False):
        place.world.message_content_allowed = allowed
        for path in ("/applications/@me", "/oauth2/applications/@me"):
            response = await rest("GET", path)
            assert bool(response.json["flags"] & 1 << 18) is allowed


async def test_gateway_and_its_budget(server: StandIn, rest: Rest) -> None:
    assert (await rest("GET", "/gateway")).json == {"url": server.gateway_url}
    bot = (await rest("GET", "/gateway/bot")).json
    assert bot["session_start_limit"]["remaining"] == 1000
    assert bot["url"] == server.gateway_url


async def test_the_guild_shows_the_channels_one_may_view(place: Place, rest: Rest) -> None:
    thread = place.world.add_thread(place.general, "side")
    place.world.add_thread(place.secret, "hidden")
    guild = f"/guilds/{place.world.guild_id}"
    assert (await rest("GET", guild)).json["name"] == place.world.guild_name
    assert [c["name"] for c in (await rest("GET", f"{guild}/channels")).json] == ["general"]
    assert [t["id"] for t in (await rest("GET", f"{guild}/threads/active")).json["threads"]] == [str(thread.id)]
    assert (await rest("GET", f"/channels/{thread.id}")).json["parent_id"] == str(place.general.id)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/nowhere", (404, 0)),
        ("PUT", "/users/@me", (405, 0)),
        ("GET", "/guilds/1", (404, 10004)),
        ("GET", "/channels/1", (404, 10003)),
        ("GET", "/channels/abc", (400, 50035)),
        ("GET", "/channels/{secret}", (403, 50001)),
        ("GET", "/channels/{secret}/messages", (403, 50001)),
        ("POST", "/channels/{secret}/messages", (403, 50001)),
        ("POST", "/channels/{secret}/typing", (403, 50001)),
        ("GET", "/channels/{general}/messages/1", (404, 10008)),
        ("PATCH", "/channels/{general}/messages/1", (404, 10008)),
        ("DELETE", "/channels/{general}/messages/1", (404, 10008)),
        ("GET", "/channels/{general}/messages?limit=101", (400, 50035)),
        ("GET", "/channels/{general}/messages?before=1&after=2", (400, 50035)),
    ],
)
async def test_refusals_by_path(place: Place, rest: Rest, method: str, path: str, expected: tuple[int, int]) -> None:
    path = path.replace("{general}", str(place.general.id)).replace("{secret}", str(place.secret.id))
    assert refusal(await rest(method, path)) == expected


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 50006),
        ({"content": " \n"}, 50006),
        ({"content": "x" * 2001}, 50035),
        ({"content": 5}, 50035),
        ({"content": "x", "nonce": "n" * 26}, 50035),
        ({"content": "x", "embeds": [{}] * 11}, 50035),
        ({"content": "x", "message_reference": {"message_id": "1"}}, 50035),
        ({"content": "x", "message_reference": {"message_id": "one"}}, 50035),
        ({"content": "x", "message_reference": {}}, 50035),
        ([1], 50109),
        ({"content": "x", "allowed_mentions": {"parse": ["users"], "users": ["1"]}}, 50035),
    ],
)
async def test_refusals_by_body(server: StandIn, place: Place, rest: Rest, body: Any, code: int) -> None:
    assert refusal(await rest("POST", messages(place), body)) == (400, code)
    assert server.sent(place.general) == []


async def test_two_thousand_characters_are_not_too_many(place: Place, rest: Rest) -> None:
    assert (await rest("POST", messages(place), {"content": "é" * 2000})).status == 200


async def test_a_body_that_is_no_json(place: Place, rest: Rest) -> None:
    assert refusal(await rest("POST", messages(place), data="{nope")) == (400, 50109)


async def test_files_come_in_a_form(place: Place, rest: Rest) -> None:
    form = aiohttp.FormData({"payload_json": '{"content": "see"}'})
    form.add_field("files[0]", b"12345", filename="note.txt")
    response = await rest("POST", messages(place), data=form)
    assert response.status == 200
    assert [(a["filename"], a["size"]) for a in response.json["attachments"]] == [("note.txt", 5)]


@pytest.mark.parametrize(
    ("denied", "path", "method", "expected"),
    [
        (permissions.SEND_MESSAGES, "/messages", "POST", (403, 50013)),
        (permissions.SEND_MESSAGES, "/typing", "POST", (403, 50013)),
        (permissions.VIEW_CHANNEL, "/messages", "POST", (403, 50001)),
    ],
)
async def test_missing_permissions(
    place: Place, rest: Rest, denied: int, path: str, method: str, expected: tuple[int, int]
) -> None:
    place.general.overwrites.append(place.world.overwrite(deny=denied))
    assert refusal(await rest(method, f"/channels/{place.general.id}{path}", {"content": "x"})) == expected


async def test_a_member_overwrite_lets_the_bot_in(place: Place, rest: Rest) -> None:
    place.secret.overwrites.append(place.world.overwrite(place.world.bot, allow=permissions.VIEW_CHANNEL))
    assert (await rest("POST", f"/channels/{place.secret.id}/messages", {"content": "x"})).status == 200


async def test_replies(server: StandIn, place: Place, rest: Rest) -> None:
    target = server.say(place.general, place.ada, "question")
    body = {"content": "answer", "message_reference": {"message_id": target.id, "fail_if_not_exists": False}}
    reply = (await rest("POST", messages(place), body)).json
    assert reply["type"] == MessageType.REPLY
    assert reply["referenced_message"]["id"] == str(target.id)
    server.delete(target)
    again = (await rest("POST", messages(place), body)).json
    assert again["type"] == MessageType.DEFAULT
    assert "message_reference" not in again
    seen = (await rest("GET", f"{messages(place)}/{reply['id']}")).json
    assert seen["referenced_message"] is None


async def test_replies_need_the_history_and_a_real_message(server: StandIn, place: Place, rest: Rest) -> None:
    joined = server.say(place.general, place.ada, "", type=MessageType.JOIN)
    body = {"content": "welcome", "message_reference": {"message_id": str(joined.id)}}
    assert refusal(await rest("POST", messages(place), body)) == (400, 50035)
    place.general.overwrites.append(place.world.overwrite(deny=permissions.READ_MESSAGE_HISTORY))
    assert refusal(await rest("POST", messages(place), body)) == (400, 160002)


async def test_only_own_messages_are_edited_or_deleted(server: StandIn, place: Place, rest: Rest) -> None:
    message = server.say(place.general, place.ada, "mine")
    path = f"{messages(place)}/{message.id}"
    assert refusal(await rest("PATCH", path, {"content": "yours"})) == (403, 50005)
    assert refusal(await rest("DELETE", path)) == (403, 50013)
    assert message.content == "mine"


async def test_the_same_nonce_makes_one_message(server: StandIn, place: Place, rest: Rest) -> None:
    body = {"content": "once", "nonce": "7", "enforce_nonce": True}
    first = await rest("POST", messages(place), body)
    second = await rest("POST", messages(place), body)
    assert first.json["id"] == second.json["id"]
    assert len(server.sent(place.general)) == 1
    await rest("POST", messages(place), {"content": "twice", "nonce": "7"})
    assert len(server.sent(place.general)) == 2


async def test_a_nonce_is_forgotten_after_minutes() -> None:
    clock = TickingClock()
    world = World(clock=clock)
    path = f"/channels/{world.add_channel('general').id}/messages"
    async with StandIn(world, rate=RateLimits.fast()) as server, Rest(server) as rest:
        body = {"content": "once", "nonce": "7", "enforce_nonce": True}
        first = await rest("POST", path, body)
        clock.advance(NONCE_WINDOW + 1)
        second = await rest("POST", path, body)
    assert first.json["id"] != second.json["id"]


async def test_reactions(server: StandIn, place: Place, rest: Rest) -> None:
    message = server.say(place.general, place.ada, "nice")
    path = f"{messages(place)}/{message.id}/reactions"
    assert (await rest("PUT", f"{path}/👍/@me")).status == 204
    assert message.reactions == {"👍": [place.world.bot.id]}
    (shown,) = (await rest("GET", messages(place))).json
    assert shown["reactions"][0]["me"] is True
    assert (await rest("DELETE", f"{path}/👍/@me")).status == 204
    assert message.reactions == {}
    assert refusal(await rest("PUT", f"{path}/thumbsup/@me")) == (400, 10014)
    place.general.overwrites.append(place.world.overwrite(deny=permissions.ADD_REACTIONS))
    assert refusal(await rest("PUT", f"{path}/party:123456/@me")) == (403, 50013)


async def test_typing_is_counted(place: Place, rest: Rest) -> None:
    assert (await rest("POST", f"/channels/{place.general.id}/typing")).status == 204
    assert place.world.typing[place.general.id] == 1


async def test_threads(place: Place, rest: Rest) -> None:
    thread = place.world.add_thread(place.general, "side")
    path = f"/channels/{thread.id}/messages"
    place.general.overwrites.append(place.world.overwrite(deny=permissions.SEND_MESSAGES))
    thread.archived = True
    assert (await rest("POST", path, {"content": "awake"})).status == 200
    assert not thread.archived
    thread.archived = thread.locked = True
    assert refusal(await rest("POST", path, {"content": "locked"})) == (400, 50083)
    place.general.overwrites.append(place.world.overwrite(deny=permissions.SEND_MESSAGES_IN_THREADS))
    assert refusal(await rest("POST", path, {"content": "mute"})) == (403, 50013)


async def test_without_the_history_permission_the_page_is_empty(server: StandIn, place: Place, rest: Rest) -> None:
    message = server.say(place.general, place.ada, "gone")
    place.general.overwrites.append(place.world.overwrite(deny=permissions.READ_MESSAGE_HISTORY))
    response = await rest("GET", messages(place))
    assert (response.status, response.json) == (200, [])
    assert refusal(await rest("GET", f"{messages(place)}/{message.id}")) == (403, 50013)


async def test_without_the_intent_the_contents_are_empty(server: StandIn, place: Place, rest: Rest) -> None:
    place.world.message_content_allowed = False
    server.say(place.general, place.ada, "private", embeds=[{"type": "rich"}], extra={"poll": {}, "position": 3})
    server.say(place.general, place.ada, f"{place.world.bot.mention} you")
    await rest("POST", messages(place), {"content": "mine"})
    found = (await rest("GET", messages(place))).json
    assert [m["content"] for m in found] == ["mine", f"{place.world.bot.mention} you", ""]
    assert found[2]["embeds"] == []
    assert "poll" not in found[2]
    assert found[2]["position"] == 3


async def test_a_client_is_told_of_requests_not_allowed_by_type(place: Place, rest: Rest) -> None:
    forum = place.world.add_channel("forum", type=15)
    assert refusal(await rest("POST", f"/channels/{forum.id}/messages", {"content": "x"})) == (400, 50008)


async def test_ids_are_the_same_in_every_run() -> None:
    def ids() -> list[int]:
        world = World(clock=TickingClock())
        channel = world.add_channel("general")
        return [world.bot.id, channel.id] + [world.post(channel, world.owner, "x").id for _ in range(3)]

    assert ids() == ids()
