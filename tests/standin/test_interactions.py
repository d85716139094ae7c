"""Commands and buttons: who may use what, how a bot may answer and how long; by bare HTTP and by real discord.py."""

from typing import Any

import discord
import pytest
from discord import app_commands

from sususbot.standin import permissions
from sususbot.standin.interactions import ANSWER_SECONDS, EPHEMERAL, TOKEN_SECONDS, NotOffered
from sususbot.standin.objects import Interaction
from sususbot.standin.ratelimit import RateLimits, Window
from sususbot.standin.server import StandIn
from sususbot.standin.snowflake import TickingClock
from sususbot.standin.world import World
from tests.standin.clients import Recorder, Response, Rest, connected, running
from tests.standin.conftest import Place

WHY = {"name": "why", "description": "Why it said that."}
PAUSE = {
    "name": "pause",
    "description": "Rest.",
    "default_member_permissions": str(permissions.MANAGE_GUILD),
    "options": [{"type": 4, "name": "minutes", "description": "How long.", "min_value": 1}],
}


async def register(server: StandIn, rest: Rest, *commands: dict[str, Any], of_guild: bool = True) -> Response:
    place = f"/guilds/{server.world.guild_id}" if of_guild else ""
    return await rest("PUT", f"/applications/{server.world.application_id}{place}/commands", list(commands))


@pytest.fixture
async def used(server: StandIn, rest: Rest, place: Place) -> Interaction:
    await register(server, rest, WHY)
    return server.command(place.general, place.ada, "why")


class Bot:
    """Answers one interaction without any token but its own."""

    def __init__(self, rest: Rest, server: StandIn, used: Interaction) -> None:
        self._rest = rest
        self._first = f"/interactions/{used.id}/{used.token}/callback"
        self._later = f"/webhooks/{server.world.application_id}/{used.token}"

    async def first(self, type: int, **data: Any) -> Response:
        return await self._rest("POST", self._first, {"type": type, "data": data}, headers={})

    async def later(self, method: str, message: str = "", **data: Any) -> Response:
        path = self._later + (f"/messages/{message}" if message else "")
        return await self._rest(method, path, data if method in ("POST", "PATCH") else None, headers={})


@pytest.fixture
def bot(rest: Rest, server: StandIn, used: Interaction) -> Bot:
    return Bot(rest, server, used)


# -- registering


async def test_a_command_that_stays_the_same_keeps_its_version(server: StandIn, rest: Rest) -> None:
    (before,) = (await register(server, rest, WHY)).json
    same, other = (await register(server, rest, WHY, PAUSE)).json
    assert same == before
    (changed,) = (await register(server, rest, {**WHY, "description": "Otherwise."})).json
    assert changed["id"] == before["id"]
    assert changed["version"] != before["version"]
    assert other["default_member_permissions"] == "32"
    listed = await rest("GET", f"/applications/{server.world.application_id}/guilds/{server.world.guild_id}/commands")
    assert listed.json == [changed]


@pytest.mark.parametrize(
    "broken",
    [
        {"name": "Why", "description": "x"},
        {"name": "no spaces", "description": "x"},
        {"name": "why", "description": "x" * 101},
        {"name": "why"},
        {"name": "why", "description": "x", "type": 2},
        {"name": "Why?", "description": "x", "type": 3},
        {"name": "", "type": 3},
        {**WHY, "options": [{"type": 3, "name": f"o{n}", "description": "x"} for n in range(26)]},
        {
            **WHY,
            "options": [
                {"type": 3, "name": "a", "description": "x"},
                {"type": 3, "name": "b", "description": "x", "required": True},
            ],
        },
    ],
)
async def test_broken_commands_are_refused(server: StandIn, rest: Rest, broken: dict[str, Any]) -> None:
    await register(server, rest, PAUSE)
    assert (await register(server, rest, broken)).json["code"] == 50035
    assert [command["name"] for command in server.world.commands[server.world.guild_id]] == ["pause"]


async def test_two_of_one_name_and_a_stranger_s_commands_are_refused(server: StandIn, rest: Rest) -> None:
    assert (await register(server, rest, WHY, WHY)).status == 400
    assert (await rest("PUT", "/applications/1/commands", [WHY])).status == 404
    assert (await rest("PUT", f"/applications/{server.world.application_id}/guilds/1/commands", [WHY])).status == 403
    assert (await rest("PUT", f"/applications/{server.world.application_id}/commands", {})).status == 400


# -- using


async def test_who_may_use_what(server: StandIn, rest: Rest, place: Place) -> None:
    await register(server, rest, PAUSE)
    await register(server, rest, WHY, of_guild=False)
    server.command(place.general, place.ada, "why")
    with pytest.raises(NotOffered, match="hidden from ada"):
        server.command(place.general, place.ada, "pause", {"minutes": 5})
    server.command(place.general, place.ada, "pause", {"minutes": 5}, let=True)
    keeper = server.world.add_user("kim", roles=[server.world.add_role("keeper", grants=permissions.MANAGE_GUILD)])
    for user in (keeper, server.world.owner):
        server.command(place.general, user, "pause", {"minutes": 5})
    for options in ({"minutes": 0}, {"minutes": "5"}, {"hours": 1}):
        with pytest.raises(NotOffered, match="takes"):
            server.command(place.general, keeper, "pause", options)
    with pytest.raises(NotOffered, match="no /never"):
        server.command(place.general, keeper, "never")


async def test_what_a_bot_is_told(server: StandIn, rest: Rest, place: Place) -> None:
    await register(server, rest, PAUSE)
    async with connected(server.gateway_url) as socket:
        await socket.frame()
        await socket.identify(server.world.token)
        await socket.event("GUILD_CREATE")
        server.command(place.general, place.ada, "pause", {"minutes": 5}, let=True)
        told = await socket.event("INTERACTION_CREATE")
    assert told["data"]["options"] == [{"name": "minutes", "type": 4, "value": 5}]
    assert told["member"]["user"]["id"] == str(place.ada.id)
    assert int(told["member"]["permissions"]) & permissions.MANAGE_GUILD == 0
    assert (told["guild_id"], told["channel_id"]) == (str(server.world.guild_id), str(place.general.id))


async def test_a_command_of_a_message_s_menu(server: StandIn, rest: Rest, place: Place) -> None:
    (menu,) = (await register(server, rest, {"name": "Why?", "type": 3})).json
    assert (menu["name"], menu["type"], menu["description"]) == ("Why?", 3, "")
    assert (await register(server, rest, *({"name": f"Why {n}?", "type": 3} for n in range(6)))).status == 400
    said = server.say(place.general, place.bob, "because")
    used = server.choose(said, place.ada, "Why?")
    assert used.data["target_id"] == str(said.id)
    assert used.data["resolved"]["messages"][str(said.id)]["content"] == "because"
    with pytest.raises(NotOffered, match="no /Why"):
        server.command(place.general, place.ada, "Why?")


# -- answering


async def test_an_ephemeral_answer_stands_in_no_channel(
    server: StandIn, place: Place, used: Interaction, bot: Bot
) -> None:
    assert (await bot.first(4, content=f"hi {place.bob.mention}", flags=EPHEMERAL)).status == 204
    assert (used.text, used.ephemeral, used.deferred) == (f"hi {place.bob.mention}", True, False)
    assert used.answers[0].pinged_users == (place.bob.id,)
    assert server.sent(place.general) == []
    assert (await bot.later("PATCH", "@original", content="better")).json["flags"] == EPHEMERAL
    assert used.text == "better"
    assert (await bot.later("DELETE", "@original")).status == 204
    assert (await bot.later("GET", "@original")).json["code"] == 10008


async def test_an_open_answer_is_a_message_like_others(
    server: StandIn, place: Place, used: Interaction, bot: Bot
) -> None:
    await bot.first(4, content="for all")
    (message,) = server.sent(place.general)
    assert (message.content, message.type, used.ephemeral) == ("for all", 20, False)
    second = (await bot.later("POST", content="and more")).json
    assert (await bot.later("PATCH", second["id"], content="and less")).json["content"] == "and less"
    assert (await bot.later("GET", second["id"])).json["content"] == "and less"
    await bot.later("DELETE", second["id"])
    assert [one.content for one in server.sent(place.general)] == ["for all"]


async def test_what_was_deferred_comes_later_and_is_as_secret_as_promised(used: Interaction, bot: Bot) -> None:
    await bot.first(5, flags=EPHEMERAL)
    assert (used.deferred, used.waits, used.text) == (True, True, "")
    await bot.later("POST", content="now")
    await bot.later("POST", content="open")
    assert [bool(one.flags & EPHEMERAL) for one in used.answers] == [True, False]
    assert (used.text, used.waits) == ("now\nopen", False)


async def test_rules_of_answering(used: Interaction, bot: Bot, rest: Rest) -> None:
    assert (await bot.later("POST", content="too early")).json["code"] == 10015
    assert (await bot.first(6)).json["code"] == 50035
    assert (await bot.first(9)).json["code"] == 50035
    assert (await bot.first(4, content="x" * 2001)).json["code"] == 50035
    assert (await bot.first(4)).json["code"] == 50006
    assert used.acknowledged is None
    await bot.first(4, content="ok")
    assert (await bot.first(4, content="again")).json["code"] == 40060
    assert (await rest("POST", f"/interactions/1/{used.token}/callback", {"type": 4})).json["code"] == 10062
    assert (await bot.later("GET", "1")).json["code"] == 10008


async def test_answers_have_their_time(validator: Any) -> None:
    clock = TickingClock()
    world = World(clock=clock)
    channel = world.add_channel("general")
    async with StandIn(world, validator=validator) as server, Rest(server) as rest:
        await register(server, rest, WHY)
        late, used = (server.command(channel, world.owner, "why") for _ in range(2))
        bot = Bot(rest, server, used)
        assert (await bot.first(5)).status == 204
        clock.advance(ANSWER_SECONDS)
        assert (await Bot(rest, server, late).first(4, content="late")).json["code"] == 10062
        assert (await bot.later("PATCH", "@original", content="in time")).status == 200
        clock.advance(TOKEN_SECONDS)
        assert (await bot.later("PATCH", "@original", content="late")).status == 401
    assert used.text == "in time"


async def test_interactions_count_in_the_ledger_and_not_against_the_overall_limit(place: Place, validator: Any) -> None:
    rate = RateLimits(overall=Window(1, 60.0), webhook=Window(2, 60.0))
    async with StandIn(place.world, rate=rate, validator=validator) as server, Rest(server) as rest:
        await register(server, rest, WHY)
        first, second = (server.command(place.general, place.ada, "why") for _ in range(2))
        for used in (first, second):
            assert (await Bot(rest, server, used).first(4, content="hi", flags=EPHEMERAL)).status == 204
        await Bot(rest, server, first).later("GET", "@original")
        assert (await Bot(rest, server, first).later("GET", "@original")).status == 429
        assert (await rest("GET", "/users/@me")).status == 429
        assert server.ledger.count("POST", "/interactions/{interaction_id}/{interaction_token}/callback", 204) == 2
        assert not any(first.token in entry.path for entry in server.ledger.requests)


# -- the real library


class Tree(Recorder):
    """Has a command that asks, and changes its question when a button is pressed."""

    def __init__(self) -> None:
        super().__init__()
        self.tree = app_commands.CommandTree(self)

        @self.tree.command(name="ask", description="Asks.")
        @app_commands.describe(text="What.")
        async def ask(interaction: discord.Interaction, text: str) -> None:
            view = discord.ui.View()
            button: discord.ui.Button[discord.ui.View] = discord.ui.Button(label="Yes")
            button.callback = self._pressed  # type: ignore[method-assign]
            view.add_item(button)
            await interaction.response.send_message(f"{text}?", view=view, ephemeral=True)

        @self.tree.command(name="slow", description="Thinks.")
        async def slow(interaction: discord.Interaction) -> None:
            await interaction.response.defer(ephemeral=True, thinking=True)
            await interaction.edit_original_response(content="done")
            await interaction.followup.send("and more", ephemeral=True)

    async def _pressed(self, interaction: discord.Interaction) -> None:
        await interaction.response.edit_message(content=f"{interaction.user.name} said yes", view=None)


async def test_discord_py_commands_buttons_and_deferrals(server: StandIn, place: Place) -> None:
    client = Tree()
    async with running(server, client):
        guild = discord.Object(server.world.guild_id)
        client.tree.copy_global_to(guild=guild)
        await client.tree.sync(guild=guild)
        asked = await server.answer(server.command(place.general, place.ada, "ask", {"text": "tea"}))
        assert (asked.text, asked.ephemeral) == ("tea?", True)
        pressed = await server.answer(server.press(asked, "Yes"))
        assert asked.text == "ada said yes"
        assert pressed.answers == asked.answers
        with pytest.raises(NotOffered, match="no button"):
            server.press(asked, "Yes")
        slow = server.command(place.general, place.ada, "slow")
        await server.wait_for(lambda: slow.text == "done\nand more")
        assert slow.deferred
        assert slow.ephemeral
    assert server.sent(place.general) == []
