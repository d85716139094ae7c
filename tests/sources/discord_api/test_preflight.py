"""What is missing, in one sentence each, before anything is written; and what goes missing on the way."""

import asyncio
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.errors import ChannelUnknown, DiscordError, GuildUnknown, IntentMissing, TokenRefused
from sususbot.sources.discord_api.collector import Wanted
from sususbot.standin import faults, permissions
from sususbot.standin.objects import ChannelType
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from tests.sources.discord_api.town import Town, empty_town, gather, history, readable, town

PAGES = "/channels/{channel_id}/messages"


async def refusal(made: Town, channel_id: int, folder: Path) -> str:
    """Why one channel could not be read."""
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(folder) as archive:
            collected = await gather(server, archive, Wanted((channel_id,)))
            assert archive.counts().messages == 0
        assert server.ledger.invalid == 0
    return collected.refused[channel_id]


async def test_a_wrong_token(tmp_path: Path) -> None:
    made = town(pages=1)
    async with StandIn(made.world) as server:
        server.faults.add("GET", "/users/@me", faults.failing(401))
        with Archive(tmp_path) as archive, pytest.raises(TokenRefused, match="DISCORD_TOKEN"):
            await gather(server, archive, Wanted(made.ids()))
        assert server.ledger.count() == 1


async def test_a_token_that_is_taken_away_in_the_middle_stops_everything(tmp_path: Path) -> None:
    made = town(pages=9)
    places = len(readable(made.world, made.ids()))
    async with StandIn(made.world, rate=RateLimits.fast()) as server:

        def revoke(_progress: object) -> None:
            if server.ledger.count(route=PAGES) > 4:
                made.world.revoke_token()

        with Archive(tmp_path) as archive:
            token = made.world.token
            with pytest.raises(TokenRefused):
                await gather(server, archive, Wanted(made.ids()), tell=revoke)
            assert archive.check() == []
            assert 0 < archive.counts().messages < len(history(made.world, made.ids()))
            # On their way at the same time: a page of each channel and thread, and a count of each at most.
            assert server.ledger.count(status=401) <= 2 * places
            made.world.token = token
            await gather(server, archive, Wanted(made.ids()))
            assert list(archive.history()) == history(made.world, made.ids())


async def test_the_intent_is_off(tmp_path: Path) -> None:
    made = town(pages=1)
    made.world.message_content_allowed = False
    async with StandIn(made.world) as server:
        with Archive(tmp_path) as archive:
            with pytest.raises(IntentMissing, match="Message Content Intent"):
                await gather(server, archive, Wanted(made.ids()))
            assert archive.counts().messages == 0


async def test_the_intent_is_switched_off_in_the_middle(tmp_path: Path) -> None:
    """Pages come without words, and with 200: none of them may be taken for what was said."""
    made = empty_town()
    made.say(made.square, 900)
    async with StandIn(made.world, rate=RateLimits.none()) as server:

        def switch_off(_progress: object) -> None:
            if server.ledger.count(route=PAGES) >= 3:
                made.world.message_content_allowed = False

        with Archive(tmp_path) as archive:
            with pytest.raises(IntentMissing):
                await gather(server, archive, Wanted((made.square.id,)), tell=switch_off)
            assert all(message.content for message in archive.history())
            made.world.message_content_allowed = True
            await gather(server, archive, Wanted((made.square.id,)))
            assert list(archive.history()) == history(made.world, made.ids())


async def test_a_page_of_pictures_is_no_missing_intent(tmp_path: Path) -> None:
    made = empty_town()
    for _ in range(120):
        made.world.post(made.square, made.ada, "", extra={"sticker_items": []})
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive:
            await gather(server, archive, Wanted((made.square.id,)))
            assert archive.counts().messages == 120


async def test_no_right_to_read_the_history(tmp_path: Path) -> None:
    made = town(pages=1)
    made.world.allow_everyone(permissions.ORDINARY & ~permissions.READ_MESSAGE_HISTORY)
    assert "give its role Read Message History" in await refusal(made, made.square.id, tmp_path)


async def test_no_right_to_see_the_channel(tmp_path: Path) -> None:
    made = town(pages=1)
    hidden = made.world.add_channel("hidden", private=True)
    sentence = await refusal_of_hidden(made, hidden.id, tmp_path)
    assert "View Channel" in sentence


async def refusal_of_hidden(made: Town, channel_id: int, folder: Path) -> str:
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(folder) as archive:
            collected = await gather(server, archive, Wanted((channel_id,)))
        # It stands in no list, so it had to be asked for: once.
        assert server.ledger.invalid == 1
    return collected.refused[channel_id]


async def test_no_right_to_connect_to_a_voice_channel(tmp_path: Path) -> None:
    made = town(pages=1)
    voice = made.world.add_channel("voice", type=ChannelType.VOICE)
    assert "Connect" in await refusal(made, voice.id, tmp_path)


async def test_the_history_is_hidden_after_the_roles_were_looked_at(tmp_path: Path) -> None:
    """An empty page where there was a last message is not believed."""
    made = town(pages=1)
    async with StandIn(made.world, rate=RateLimits.none()) as server:

        async def take_away() -> None:
            await server.wait_for(lambda: server.ledger.count(route="/guilds/{guild_id}/threads/active"))
            made.world.allow_everyone(permissions.ORDINARY & ~permissions.READ_MESSAGE_HISTORY)

        with Archive(tmp_path) as archive:
            taking = asyncio.create_task(take_away())
            collected = await gather(server, archive, Wanted(made.ids()))
            await taking
            assert archive.counts().messages == 0
            assert set(collected.refused) >= set(made.ids())
            assert all("Read Message History" in sentence for sentence in collected.refused.values())
            made.world.allow_everyone(permissions.ORDINARY)
            await gather(server, archive, Wanted(made.ids()))
            assert list(archive.history()) == history(made.world, made.ids())


async def test_a_channel_that_nobody_has_said_anything_in(tmp_path: Path) -> None:
    made = empty_town()
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive:
            collected = await gather(server, archive, Wanted(made.ids()))
            assert not collected.refused
            assert len(archive.channels()) == 2


async def test_a_channel_whose_only_message_was_deleted(tmp_path: Path) -> None:
    """Discord still names it as the last one."""
    made = empty_town()
    (only,) = made.say(made.square, 1)
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        server.delete(only)
        with Archive(tmp_path) as archive:
            collected = await gather(server, archive, Wanted((made.square.id,)))
            assert not collected.refused
        assert server.ledger.count(route="/channels/{channel_id}/messages/{message_id}", status=404) == 1


async def test_a_channel_that_does_not_exist(tmp_path: Path) -> None:
    made = town(pages=1)
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive:
            collected = await gather(server, archive, Wanted((42, *made.ids())))
            assert "there is no channel 42" in collected.refused[42]
            assert list(archive.history()) == history(made.world, made.ids())


async def test_a_category_holds_no_messages(tmp_path: Path) -> None:
    made = town(pages=1)
    category = made.world.add_channel("rooms", type=ChannelType.CATEGORY)
    assert "holds no messages" in await refusal(made, category.id, tmp_path)


async def test_a_server_that_does_not_exist(tmp_path: Path) -> None:
    made = town(pages=1)
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        with Archive(tmp_path) as archive:
            with pytest.raises(GuildUnknown, match="GUILD_ID"):
                await gather(server, archive, Wanted(everything=True, guild_id=42))
            with pytest.raises(ChannelUnknown, match="GUILD_ID"):
                await gather(server, archive, Wanted(everything=True))


async def test_a_refusal_that_nothing_explains_is_a_sentence_too(tmp_path: Path) -> None:
    made = town(pages=1)
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        server.faults.add("GET", "/guilds/*/threads/active", faults.failing(403, code=50001))
        with Archive(tmp_path) as archive, pytest.raises(DiscordError, match="goes on where it stopped"):
            await gather(server, archive, Wanted(made.ids()))


async def test_where_the_own_roles_cannot_be_found_out_answers_tell(tmp_path: Path) -> None:
    made = town(pages=1)
    async with StandIn(made.world, rate=RateLimits.none()) as server:
        server.faults.add("GET", "/guilds/*/members/*", faults.failing(403, code=50001))
        with Archive(tmp_path) as archive:
            await gather(server, archive, Wanted(made.ids()))
            assert list(archive.history()) == history(made.world, made.ids())
