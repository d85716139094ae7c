"""The reply from end to end: a real archive, memory and queue, and a backend that says what it was told to say."""

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.memory.context import ContextBuilder
from sususbot.memory.lines import RememberedLines
from sususbot.memory.long_term import LongTerm
from sususbot.memory.short_term import ShortTerm
from sususbot.messages import Message, Turn
from sususbot.model.backend import Backend, Sampling
from sususbot.model.inference import CANNED, Inference
from sususbot.model.recall import Recall
from sususbot.model.scripted import Scripted
from sususbot.responder import Reply, Responder
from tests.memory.chat import EVE, HOUR, MIA, TOM, Chat


@dataclass
class House:
    """An archive with a chat in it, and all that is needed to reply."""

    chat: Chat
    long_term: LongTerm

    def recall(self) -> Recall:
        return Recall(RememberedLines(self.long_term))

    async def reply(
        self,
        *backends: Backend,
        to: Message | Turn,
        audience: frozenset[int] | None = None,
        recent: list[Turn] | None = None,
        tokens: int = 900,
        seconds: float = 10.0,
    ) -> Reply:
        asked = to if isinstance(to, Turn) else turn_of(to)
        archive = self.chat.archive
        count = backends[0].count_tokens
        with closing(Inference(backends, canned=["hm."], queue_size=4, deadline_seconds=seconds)) as inference:
            responder = Responder(
                archive=archive,
                short_term=ShortTerm(archive, window=6),
                long_term=self.long_term,
                context=ContextBuilder(persona="A chat.", own_name="susu", tokens=tokens, count_tokens=count),
                inference=inference,
                sampling=Sampling(seed=3),
                own_name="susu",
                memories=5,
            )
            channel = None if isinstance(to, Turn) else to.channel_id
            return await responder.reply(asked, channel_id=channel, audience=audience, recent=recent)


def turn_of(message: Message) -> Turn:
    author = message.author
    return Turn(author.display_name, message.rendered, message.created_at, message_id=message.id, author_id=author.id)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with Archive(tmp_path) as archive:
        chat = Chat(archive)
        chat.say(MIA, "who broke the printer?", after=HOUR)
        chat.say(TOM, "gerald did, with a spoon")
        chat.say(TOM, "the printer password is swordfish", channel=2, after=HOUR)
        for number in range(8):
            chat.say((MIA, TOM)[number % 2], f"small talk {number}", after=HOUR if number == 0 else 30)
        yield House(chat, LongTerm(archive, None, None))


async def test_the_trace_tells_what_the_reply_was_made_of(house: House) -> None:
    backend = Scripted(["gerald, of course"])
    asked = house.chat.say(EVE, "say, who broke the printer?")
    reply = await house.reply(backend, to=asked)
    assert reply.text == "gerald, of course"
    (request,) = backend.requests
    context = reply.trace.context
    assert request.prompt == context.prompt
    assert request.turns == context.turns
    assert request.sampling.seed == 3
    assert [turn.text for turn in context.turns] == [*(f"small talk {n}" for n in range(2, 8)), asked.rendered]
    assert "who broke the printer?" in [hit.message.rendered for hit in context.memories]
    assert "#channel-1, tom: gerald did, with a spoon" in context.prompt
    assert context.prompt.endswith("\neve: say, who broke the printer?\nsusu:")
    assert reply.trace.asked == asked.rendered
    assert reply.trace.generation.backend == "scripted"
    assert not reply.trace.searched_by_meaning
    assert {"words", "rank", "assemble", "context", "model", "total"} <= reply.trace.seconds.keys()


async def test_the_trace_tells_what_was_left_out(house: House) -> None:
    for number in range(12):
        told = " ".join(f"word{number}-{word}" for word in range(60))
        said = house.chat.say(TOM, f"the printer story part {number} {told}", after=HOUR)
        house.long_term.learn([said.id])
    reply = await house.reply(Scripted(["ok"]), to=house.chat.say(EVE, "the printer?"), tokens=220)
    left = {one.section for one in reply.trace.context.left_out}
    assert left == {"recent", "memories"}


async def test_what_is_shown_is_not_searched_and_what_comes_later_is_not_shown(house: House) -> None:
    seen = house.chat.say(MIA, "the printer is on fire")
    asked = house.chat.say(EVE, "the printer?")
    house.chat.say(TOM, "the printer comes later")
    context = (await house.reply(Scripted(["ok"]), to=asked)).trace.context
    assert context.turns[-2].message_id == seen.id
    assert not {seen.id, asked.id} & {hit.message.id for hit in context.memories}
    assert all(turn.text != "the printer comes later" for turn in context.turns)


async def test_a_bare_mention_searches_by_the_turn_before_it(house: House) -> None:
    house.chat.say(TOM, "that printer again")
    context = (await house.reply(Scripted(["ok"]), to=house.chat.say(EVE, " "))).trace.context
    assert "who broke the printer?" in [hit.message.rendered for hit in context.memories]


async def test_a_bare_mention_is_answered_by_recall_too(house: House) -> None:
    house.chat.say(MIA, "who broke the printer again?")
    reply = await house.reply(house.recall(), to=house.chat.say(EVE, ""))
    assert reply.text == "gerald did, with a spoon"


async def test_the_audience_bounds_memories_and_recall(house: House) -> None:
    asked = house.chat.say(EVE, "the printer password")
    for audience, shown in ((None, True), (frozenset({1}), False)):
        reply = await house.reply(house.recall(), to=asked, audience=audience)
        assert ("swordfish" in reply.text) is shown
        assert ("swordfish" in reply.trace.context.prompt) is shown


async def test_a_terminal_has_turns_of_its_own_and_no_channel(house: House) -> None:
    recent = [Turn("you", "hello", 0), Turn("susu", "hi", 0, own=True)]
    asked = Turn("you", "who broke the printer?", 0)
    backend = Scripted(["gerald"])
    reply = await house.reply(backend, to=asked, recent=recent)
    assert reply.trace.context.turns == (*recent, asked)
    assert backend.requests[0].channel_id is None
    assert (await house.reply(backend, to=asked)).trace.context.turns == (asked,)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("gerald @everyone <@1> did", "gerald everyone  did"),
        ("susu: gerald", "gerald"),
        ("gerald ⏎ eve: really?", "gerald"),
        ("gerald ⏎ mia: really?", "gerald"),
        ("gerald ⏎ tom: in a memory", "gerald"),
        ("gerald ⏎ and his spoon", "gerald\nand his spoon"),
        ("gerald\nmia: after the stop", "gerald"),
    ],
)
async def test_only_the_bots_own_words_come_out_and_ping_nobody(house: House, raw: str, said: str) -> None:
    reply = await house.reply(Scripted([raw]), to=house.chat.say(EVE, "who broke the printer?"))
    assert reply.text == said


@pytest.mark.parametrize("raw", ["<@1>", "mia: I am somebody else", "@", "  ", "\n"])
async def test_when_nothing_is_left_after_cleaning_recall_answers(house: House, raw: str) -> None:
    reply = await house.reply(
        Scripted([raw]), house.recall(), to=house.chat.say(EVE, "who broke the printer?"), audience=frozenset({1})
    )
    assert reply.text == ("@" if raw == "@" else "gerald did, with a spoon")


async def test_when_memory_hangs_there_is_still_an_answer_and_a_trace(house: House) -> None:
    let_go = threading.Event()

    class Hanging(Scripted):
        def count_tokens(self, text: str) -> int:
            if "eve" in text:
                let_go.wait(20)
            return super().count_tokens(text)

    reply = await house.reply(Hanging(["x"]), to=house.chat.say(EVE, "hello?"), seconds=0.2)
    let_go.set()
    assert (reply.text, reply.trace.generation.backend) == ("hm.", CANNED)
    assert reply.trace.context.turns[-1].text == "hello?"
    assert reply.trace.context.prompt == ""
