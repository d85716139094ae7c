"""Replies people want: quick lines answered once, nothing missed, names and emoji as members see them."""

import threading
from pathlib import Path

import pytest

from sususbot.bot.limits import Limits
from sususbot.model.backend import Request
from sususbot.model.scripted import Scripted
from sususbot.safety.filter import OutputFilter
from sususbot.standin.objects import Message
from sususbot.standin.server import StandIn
from tests.bot.running import PATIENCE, bot, until
from tests.bot.test_bot import answers, listening
from tests.standin.conftest import Place


class Held(Scripted):
    """Answers with what was asked, but only once it is let."""

    def __init__(self, *, wait_for: int = 1) -> None:
        super().__init__(self._line, seconds_per_token=0.01)
        self.asked: list[str] = []
        self._wait_for = wait_for

    def _line(self, request: Request) -> str:
        self.asked.append(request.turns[-1].text)
        if len(self.asked) < self._wait_for:
            return "word " * 1000
        return "answer to " + request.turns[-1].text.replace("\n", " and ")


def replies_to(server: StandIn, place: Place) -> list[int]:
    return [one.reference.message_id for one in server.sent(place.general) if one.reference]


async def test_quick_lines_of_a_member_are_answered_once(server: StandIn, place: Place, tmp_path: Path) -> None:
    me = server.world.bot
    held = Held(wait_for=3)
    async with bot(server, place.general, tmp_path, [held]):
        await listening(server)
        server.say(place.general, place.ada, f"{me.mention} who broke the printer?")
        await server.wait_for(lambda: server.world.typing[place.general.id])
        await until(lambda: len(held.asked) == 1)
        server.say(place.general, place.ada, "the one in the hall")
        await until(lambda: len(held.asked) == 2)
        last = server.say(place.general, place.ada, f"{me.mention} and when?")
        (reply,) = await answers(server, place.general, 1)
    assert reply.content == "answer to who broke the printer? and the one in the hall and and when?"
    assert replies_to(server, place) == [last.id]
    turns = [(turn.speaker, turn.text) for turn in held.requests[-1].turns]
    assert turns == [("Ada", "who broke the printer?\nthe one in the hall\nand when?")]


async def test_what_is_said_to_others_meanwhile_is_no_part_of_a_question(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    me = server.world.bot
    slow = Scripted(["a b c d e f"], seconds_per_token=0.05)
    async with bot(server, place.general, tmp_path, [slow]):
        await listening(server)
        before = server.say(place.general, place.bob, "tea?")
        server.say(place.general, place.ada, f"{me.mention} who broke the printer?")
        await server.wait_for(lambda: server.world.typing[place.general.id])
        server.say(place.general, place.ada, "yes please", reply_to=before)
        server.say(place.general, place.ada, f"{place.bob.mention} with milk")
        server.say(place.general, place.bob, "sure")
        await answers(server, place.general, 1)
    assert [request.turns[-1].text for request in slow.requests] == ["who broke the printer?"]


async def test_a_bare_mention_waits_a_moment_for_its_question(server: StandIn, place: Place, tmp_path: Path) -> None:
    script = Scripted(["ok"])
    async with bot(server, place.general, tmp_path, [script], burst=30.0):
        await listening(server)
        server.say(place.general, place.ada, server.world.bot.mention)
        await server.wait_for(lambda: server.world.typing[place.general.id])
        server.say(place.general, place.ada, "who broke the printer?")
        await answers(server, place.general, 1)
    assert [request.turns[-1].text for request in script.requests] == ["who broke the printer?"]


async def test_a_member_who_types_is_waited_for(server: StandIn, place: Place, tmp_path: Path) -> None:
    go_on = threading.Event()

    def line(request: Request) -> str:
        go_on.wait(PATIENCE)
        return "about " + request.turns[-1].text.replace("\n", " and ")

    script = Scripted(line)
    async with bot(server, place.general, tmp_path, [script], burst=15.0) as running:
        await listening(server)
        server.say(place.general, place.ada, f"{server.world.bot.mention} who broke it?")
        await until(lambda: len(script.requests) == 1)
        server.types(place.general, place.ada)
        (question,) = running.answering._questions.values()
        await until(lambda: question.typed_at is not None)
        go_on.set()
        await until(lambda: not running.responder._inference.waiting)
        assert server.sent(place.general) == []
        server.say(place.general, place.ada, "the printer, I mean")
        (reply,) = await answers(server, place.general, 1)
    assert reply.content == "about who broke it? and the printer, I mean"


async def test_a_member_who_types_and_says_nothing_is_answered_all_the_same(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    slow = Scripted(["one two three"], seconds_per_token=0.05)
    async with bot(server, place.general, tmp_path, [slow], burst=0.2):
        await listening(server)
        server.say(place.general, place.ada, f"{server.world.bot.mention} who broke it?")
        await until(lambda: len(slow.requests) == 1)
        server.types(place.general, place.ada)
        await answers(server, place.general, 1)
    assert len(slow.requests) == 1


async def test_a_blocked_member_sees_no_sign_of_any_kind(server: StandIn, place: Place, tmp_path: Path) -> None:
    async with bot(server, place.general, tmp_path, [Scripted(["ok"])]) as running:
        await listening(server)
        running.answering.limits = Limits(blocked=[place.ada.id])
        running.answering.paused = True
        asked = server.say(place.general, place.ada, f"{server.world.bot.mention} hello?")
        await until(lambda: running.archive.mentions.ends() == {"sign": 1})
        assert not asked.reactions
        assert running.metrics.day().signs == {"blocked": 1}


async def test_what_is_held_back_is_counted_though_no_reply_comes_of_it(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    script = Scripted(["rude words " * 30, "kind words"], seconds_per_token=0.0)
    async with bot(server, place.general, tmp_path, [script]) as running:
        running.responder._output = OutputFilter((), ["rude words"])
        await listening(server)
        server.say(place.general, place.ada, f"{server.world.bot.mention} hello?")
        (reply,) = await answers(server, place.general, 1)
        assert reply.content == "kind words"
        assert running.metrics.day().filtered == {"blocked": 1}


async def test_a_deleted_line_leaves_the_rest_of_a_question(server: StandIn, place: Place, tmp_path: Path) -> None:
    me = server.world.bot
    held = Held(wait_for=3)
    async with bot(server, place.general, tmp_path, [held]):
        await listening(server)
        first = server.say(place.general, place.ada, f"{me.mention} who broke the printer?")
        await until(lambda: len(held.asked) == 1)
        second = server.say(place.general, place.ada, f"{me.mention} never mind")
        await until(lambda: len(held.asked) == 2)
        server.delete(second)
        (reply,) = await answers(server, place.general, 1)
    assert reply.content == "answer to who broke the printer?"
    assert replies_to(server, place) == [first.id]


async def test_a_flood_during_a_reply_does_not_put_it_off_for_ever(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    me = server.world.bot
    held = Held(wait_for=4)
    async with bot(server, place.general, tmp_path, [held]):
        await listening(server)
        server.say(place.general, place.ada, f"{me.mention} line 0")
        for number in range(1, 4):
            await until(lambda number=number: len(held.asked) == number)  # type: ignore[misc]
            server.say(place.general, place.ada, f"line {number}")
        await until(lambda: len(held.asked) == 4)
        server.say(place.general, place.ada, "line 4")
        (reply,) = await answers(server, place.general, 1)
    assert reply.content == "answer to line 0 and line 1 and line 2 and line 3"


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ("sure", ["sure"]),
        ("sure ⏎ it was gerald ⏎ with a spoon", ["sure", "it was gerald", "with a spoon"]),
        ("one ⏎ two ⏎ three ⏎ four", ["one", "two", "three\nfour"]),
        ("my list: ⏎ - milk ⏎ - tea", ["my list:\n- milk\n- tea"]),
        ("short ⏎ " + "long " * 40, ["short\n" + ("long " * 40).strip()]),
        ("sususbot: it was me ⏎ Ada: no ⏎ bob: yes", ["it was me"]),
    ],
)
async def test_several_short_lines_are_several_messages(
    server: StandIn, place: Place, tmp_path: Path, said: str, sent: list[str]
) -> None:
    async with bot(server, place.general, tmp_path, [Scripted([said])]):
        await listening(server)
        server.say(place.general, place.ada, f"{server.world.bot.mention} tell me")
        found = await answers(server, place.general, len(sent))
    assert [one.content for one in found] == sent
    assert [one.reference is not None for one in found] == [True] + [False] * (len(sent) - 1)


async def test_names_channels_and_emoji_are_shown_as_members_see_them(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    server.world.add_emoji("tea", 77)
    line = "ask @ada in #general :tea: :soup: @nobody `@ada :tea:` <@1> 10:30:15"
    async with bot(server, place.general, tmp_path, [Scripted([line])]):
        await listening(server)
        server.say(place.general, place.ada, f"{server.world.bot.mention} who knows?")
        (reply,) = await answers(server, place.general, 1)
    ada, general = place.ada.id, place.general.id
    assert reply.content == f"ask <@{ada}> in <#{general}> <:tea:77> :soup: @nobody `@ada :tea:`  10:30:15"
    assert (reply.pinged_users, reply.pinged_roles, reply.pinged_everyone) == ((), (), False)


async def test_no_line_is_said_twice_in_a_row(server: StandIn, place: Place, tmp_path: Path) -> None:
    script = Scripted(["tea is ready now", "tea is ready now", "have some cake"])
    async with bot(server, place.general, tmp_path, [script]):
        await listening(server)
        for number, expected in enumerate(["tea is ready now", "have some cake"], 1):
            server.say(place.general, place.ada, f"{server.world.bot.mention} number {number}")
            found = await answers(server, place.general, number)
            assert found[-1].content == expected


async def test_a_paused_bot_says_so(server: StandIn, place: Place, tmp_path: Path) -> None:
    async with bot(server, place.general, tmp_path, [Scripted(["ok"])]) as running:
        await listening(server)
        running.answering.paused = True
        asked = server.say(place.general, place.ada, f"{server.world.bot.mention} hello?")
        await server.wait_for(lambda: asked.reactions)
        assert list(asked.reactions) == ["⏸️"]
        running.answering.paused = False
        server.say(place.general, place.ada, f"{server.world.bot.mention} now?")
        await answers(server, place.general, 1)
        await until(lambda: running.archive.mentions.ends() == {"sign": 1, "reply": 1})


async def test_the_last_reply_can_be_asked_for(server: StandIn, place: Place, tmp_path: Path) -> None:
    async with bot(server, place.general, tmp_path, [Scripted(["one ⏎ two"])]) as running:
        await listening(server)
        asked = server.say(place.general, place.ada, f"{server.world.bot.mention} hello?")
        found: list[Message] = await answers(server, place.general, 2)
        await until(lambda: running.answering.last(place.general.id) is not None)
        last = running.answering.last(place.general.id)
        assert last is not None
        assert (last.asked, last.sent) == (asked.id, tuple(one.id for one in found))
        assert running.answering.answered(found[1].id) is last
        assert running.answering.last(1) is None


async def test_ending_finishes_the_reply_in_hand(server: StandIn, place: Place, tmp_path: Path) -> None:
    slow = Scripted(["a b c d e f"], seconds_per_token=0.05)
    async with bot(server, place.general, tmp_path, [slow]) as running:
        await listening(server)
        server.say(place.general, place.ada, f"{server.world.bot.mention} hello?")
        await server.wait_for(lambda: server.world.typing[place.general.id])
        await running.answering.close(10)
        assert [one.content for one in server.sent(place.general)] == ["a b c d e f"]
