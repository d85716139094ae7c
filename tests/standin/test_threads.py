"""Archived threads in pages, forums, threads on messages, search totals: what a collector meets beside the messages."""

import pytest

from sususbot.standin import permissions
from sususbot.standin.objects import ChannelType
from sususbot.standin.server import StandIn
from tests.standin.clients import Rest
from tests.standin.conftest import Place

MANAGER = permissions.ORDINARY | permissions.MANAGE_THREADS


async def listed(rest: Rest, path: str, *, by_id: bool = False) -> list[str]:
    """The names of all pages of a list, in order."""
    names: list[str] = []
    query = "limit=2"
    while True:
        page = (await rest("GET", f"{path}?{query}")).json
        names += [thread["name"] for thread in page["threads"]]
        if not page["has_more"]:
            return names
        last = page["threads"][-1]
        before = last["id"] if by_id else last["thread_metadata"]["archive_timestamp"].replace("+", "%2B")
        query = f"limit=2&before={before}"


async def test_public_ones_come_by_the_time_of_archiving(server: StandIn, place: Place, rest: Rest) -> None:
    for number in (3, 1, 4, 2, 5):
        thread = place.world.add_thread(place.general, str(number))
        place.world.archive(thread, at=1_700_000_000.25 + number)
    place.world.add_thread(place.general, "active")
    assert await listed(rest, f"/channels/{place.general.id}/threads/archived/public") == list("54321")
    active = (await rest("GET", f"/guilds/{place.world.guild_id}/threads/active")).json["threads"]
    assert [thread["name"] for thread in active] == ["active"]
    assert not server.ledger.invalid


async def test_private_ones_are_for_who_manages_threads_and_for_the_invited(place: Place, rest: Rest) -> None:
    for number in range(3):
        thread = place.world.add_thread(place.general, str(number), private=True, invited=number != 1)
        place.world.archive(thread, at=1_700_000_000 - number)
    private = f"/channels/{place.general.id}/threads/archived/private"
    joined = f"/channels/{place.general.id}/users/@me/threads/archived/private"
    refused = await rest("GET", private)
    assert (refused.status, refused.json["code"]) == (403, 50013)
    assert await listed(rest, joined, by_id=True) == ["2", "0"]
    place.world.allow_everyone(MANAGER)
    assert await listed(rest, private) == ["0", "1", "2"]


async def test_a_private_thread_is_hidden_from_who_was_not_invited(place: Place, rest: Rest) -> None:
    thread = place.world.add_thread(place.general, "closed", private=True, invited=False)
    assert (await rest("GET", f"/channels/{thread.id}/messages")).status == 403
    place.world.allow_everyone(MANAGER)
    assert (await rest("GET", f"/channels/{thread.id}/messages")).status == 200


@pytest.mark.parametrize("query", ["limit=1", "limit=101", "limit=x", "before=yesterday"])
async def test_what_is_no_page(place: Place, rest: Rest, query: str) -> None:
    response = await rest("GET", f"/channels/{place.general.id}/threads/archived/public?{query}")
    assert (response.status, response.json["code"]) == (400, 50035)


async def test_archived_lists_need_the_history(place: Place, rest: Rest) -> None:
    place.world.allow_everyone(MANAGER & ~permissions.READ_MESSAGE_HISTORY)
    for kind in ("public", "private"):
        assert (await rest("GET", f"/channels/{place.general.id}/threads/archived/{kind}")).status == 403


async def test_a_thread_on_a_message_has_its_id_and_points_at_it(server: StandIn, place: Place, rest: Rest) -> None:
    root = server.say(place.general, place.ada, "root")
    thread = place.world.add_thread(place.general, "talk", on=root)
    assert thread.id == root.id
    (starter,) = (await rest("GET", f"/channels/{thread.id}/messages")).json
    assert (starter["type"], starter["content"]) == (21, "")
    assert starter["referenced_message"]["content"] == "root"


async def test_a_forums_post_begins_with_a_message_of_its_own_id(place: Place, rest: Rest) -> None:
    forum = place.world.add_channel("ideas", type=ChannelType.FORUM)
    post = place.world.add_post(forum, "tea", place.ada, "more tea", at=1_700_000_000)
    (first,) = (await rest("GET", f"/channels/{post.id}/messages")).json
    assert (first["id"], first["content"]) == (str(post.id), "more tea")
    shown = (await rest("GET", f"/channels/{post.id}")).json
    assert (shown["parent_id"], shown["message_count"]) == (str(forum.id), 1)


async def test_a_new_message_wakes_an_archived_thread(server: StandIn, place: Place) -> None:
    thread = place.world.add_thread(place.general, "old")
    place.world.archive(thread)
    server.say(thread, place.ada, "hello?")
    assert not thread.archived


async def test_search_counts_what_a_channel_holds(server: StandIn, place: Place, rest: Rest) -> None:
    for number in range(7):
        server.say(place.general, place.ada, str(number))
    path = f"/guilds/{place.world.guild_id}/messages/search?limit=1&channel_id="
    found = (await rest("GET", f"{path}{place.general.id}")).json
    assert found["total_results"] == 7
    assert found["messages"][0][0]["content"] == "6"
    assert (await rest("GET", f"{path}{place.secret.id}")).status == 403
    place.world.search_ready = False
    waiting = await rest("GET", f"{path}{place.general.id}")
    assert (waiting.status, waiting.json["code"]) == (202, 110000)


async def test_members_by_id(place: Place, rest: Rest) -> None:
    path = f"/guilds/{place.world.guild_id}/members"
    assert (await rest("GET", f"{path}/{place.ada.id}")).json["user"]["username"] == "ada"
    assert (await rest("GET", f"{path}/42")).json["code"] == 10007


async def test_the_last_message_stays_the_last_when_it_is_deleted(server: StandIn, place: Place, rest: Rest) -> None:
    message = server.say(place.general, place.ada, "gone soon")
    server.delete(message)
    assert (await rest("GET", f"/channels/{place.general.id}")).json["last_message_id"] == str(message.id)
