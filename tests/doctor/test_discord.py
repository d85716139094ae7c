"""Asked of Discord: a bot that may do all it needs, and all that can keep it from it."""

from sususbot.doctor.checks_discord import discord
from sususbot.doctor.findings import Finding
from sususbot.env_file import checked
from sususbot.sources.discord_api.address import api_at
from sususbot.standin import faults, permissions
from sususbot.standin.permissions import Overwrite
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from tests.sources.discord_api.town import Town, empty_town


async def asked(server: StandIn, made: Town, channel: int | None = None) -> list[Finding]:
    settings = checked({"discord_token": made.world.token, "channel_id": str(channel or made.square.id)})
    with api_at(server.http_url):
        return await discord(settings)


def states(findings: list[Finding]) -> dict[str, str]:
    return {finding.name: finding.state for finding in findings}


async def test_without_a_token_nothing_is_asked() -> None:
    assert states(await discord(checked({}))) == {"discord": "skipped"}


async def test_a_bot_that_may_do_all_it_needs() -> None:
    made = empty_town()
    async with StandIn(made.world, rate=RateLimits.fast()) as server:
        found = await asked(server, made)
        assert set(states(found).values()) == {"ok"}
        assert found[-1].sentence == "the bot may read and write in #square of Stand-in"
        assert made.world.token not in str(found)
        gone = await asked(server, made, channel=12345)
        assert (gone[-1].name, gone[-1].state) == ("discord channel", "wrong")


async def test_a_right_that_it_lacks() -> None:
    made = empty_town()
    made.square.overwrites.append(Overwrite(made.world.guild_id, deny=permissions.ADD_REACTIONS))
    async with StandIn(made.world, rate=RateLimits.fast()) as server:
        found = await asked(server, made)
    assert found[-1].sentence == "in #square the bot lacks: Add Reactions"


async def test_in_a_thread_it_wants_another_right_by_those_of_the_channel_around() -> None:
    made = empty_town()
    thread = made.world.add_thread(made.square, "corner", owner=made.ada)
    made.square.overwrites.append(Overwrite(made.world.guild_id, deny=permissions.SEND_MESSAGES))
    async with StandIn(made.world, rate=RateLimits.fast()) as server:
        assert (await asked(server, made, thread.id))[-1].state == "ok"
        made.square.overwrites.append(
            Overwrite(made.world.bot.id, deny=permissions.SEND_MESSAGES_IN_THREADS, member=True)
        )
        found = await asked(server, made, thread.id)
    assert found[-1].sentence == "in #corner the bot lacks: Send Messages in Threads"


async def test_a_wrong_token_and_an_intent_that_is_off() -> None:
    made = empty_town()
    made.world.message_content_allowed = False
    async with StandIn(made.world, rate=RateLimits.fast()) as server:
        found = await asked(server, made)
        assert states(found) == {"discord token": "ok", "discord intent": "wrong"}
        assert "Message Content Intent" in found[-1].step
        server.faults.add("GET", "/users/@me", faults.failing(401))
        found = await asked(server, made)
        assert states(found) == {"discord token": "wrong"}
        assert "DISCORD_TOKEN" in f"{found[-1].sentence}{found[-1].step}"
