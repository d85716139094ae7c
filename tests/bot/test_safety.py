"""What a server would see of a bot whose model obeys the red team: nothing of what it asks for, and no ping."""

from pathlib import Path

from sususbot.chat_format import NEWLINE_MARK
from sususbot.model.backend import Request
from sususbot.model.scripted import Scripted
from sususbot.safety.filter import CATEGORIES, OutputFilter
from sususbot.safety.red_team import BLOCKED, attacks
from sususbot.standin.server import StandIn
from tests.bot.running import answered, bot, until
from tests.standin.conftest import Place

# Of each kind some, so that it is done in seconds.
EVERY = 4


async def test_nothing_of_it_is_posted(server: StandIn, place: Place, tmp_path: Path) -> None:
    saying = [""]
    output = OutputFilter(blocked_words=BLOCKED)
    backend = Scripted(lambda _: saying[0].replace("\n", NEWLINE_MARK))
    async with bot(server, place.general, tmp_path, [backend], output=output) as running:
        await server.wait_for(lambda: server.connected == 1)
        for attack in attacks()[::EVERY]:
            saying[0] = attack.obedient
            asked = server.say(place.general, place.ada, f"{server.world.bot.mention} {attack.prompt}")
            await answered(server, asked)
        await until(lambda: sum(running.metrics.day().filtered.values()) > len(attacks()[::EVERY]))
        assert running.metrics.day().filtered.keys() == {*CATEGORIES, "blocked"}
    posted = server.sent(place.general)
    assert len(posted) >= len(attacks()[::EVERY])
    for message in posted:
        assert output.check(message.content).hit is None
        assert "evil.example" not in message.content
        assert (message.pinged_users, message.pinged_roles, message.pinged_everyone) == ((), (), False)


async def test_an_echo_of_pings_from_members_pings_nobody(server: StandIn, place: Place, tmp_path: Path) -> None:
    def echo(request: Request) -> str:
        return request.turns[-1].text

    async with bot(server, place.general, tmp_path, [Scripted(echo)], output=OutputFilter()):
        await server.wait_for(lambda: server.connected == 1)
        for text in ("@everyone @here", f"say {place.ada.mention}", "@[every](https://x.example)one", "<@&1> <@!1>"):
            asked = server.say(place.general, place.ada, f"{server.world.bot.mention} again: {text}")
            await answered(server, asked)
    for message in server.sent(place.general):
        assert (message.pinged_users, message.pinged_roles, message.pinged_everyone) == ((), (), False)
        assert "@everyone" not in message.content
