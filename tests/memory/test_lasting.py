"""What stays in a prompt from message to message: a window that steps seldom, and memories above the talk."""

from itertools import pairwise

from sususbot.archive.archive import Archive
from sususbot.memory.context import Context, ContextBuilder
from sususbot.memory.lasting import Lasting
from sususbot.memory.long_term import LongTerm
from sususbot.memory.short_term import Folds, ShortTerm, turn
from sususbot.messages import Audience, Message
from sususbot.model.estimate import estimate_tokens
from tests.memory.chat import MIA, ROBOT, TOM, Chat
from tests.support.consents import refuse

WINDOW, INTERVAL, STRIDE = 10, 5, 3
LORE = (
    "tea is best with lemon",
    "lemon tea stains the mug",
    "a mug broke in March",
    "March was cold",
    "cold tea is fine",
)


class Server:
    """A short talk after old lore, and the prompts made in it."""

    def __init__(self, archive: Archive, chat: Chat) -> None:
        self.archive, self.chat = archive, chat
        self.lore = [chat.say(TOM, f"{text}, said {number}", channel=2) for number, text in enumerate(LORE * 3)]
        self.memory = LongTerm(archive, None, None)
        folds = Folds("susu", interval=INTERVAL, stride=STRIDE)
        self.short_term = ShortTerm(archive, window=WINDOW, own_id=ROBOT.id, folds=folds)
        self.builder = ContextBuilder(
            persona="A chat.",
            own_name="susu",
            tokens=2000,
            count_tokens=estimate_tokens,
            lasting=Lasting(archive),
        )

    def ask(self, text: str, audience: Audience = None) -> Context:
        asked = self.chat.say(MIA, text)
        self.short_term.changed([asked.id])
        recent = self.short_term.recent(1, before=asked.id)
        summary = self.short_term.summary(1, before=asked.id)
        shown = {one.message_id for one in recent if one.message_id is not None} | {asked.id}
        hits = self.memory.search(text, limit=10, audience=audience, exclude=shown).hits
        context = self.builder.build(
            turn(asked, ROBOT.id), recent, hits, {1: "general", 2: "lore"}, ROBOT, summary, audience
        )
        answer = self.chat.say(ROBOT, "hm")
        self.short_term.changed([answer.id])
        return context


def quoted(context: Context) -> list[str]:
    return [line.rpartition(": ")[2] for line in context.prompt.split("\n") if ", #lore, " in line]


def begin(context: Context) -> int | None:
    return context.turns[0].message_id


def alike(earlier: str, later: str) -> float:
    """The share of the later one that the earlier one begins with."""
    same = next((place for place, (one, two) in enumerate(zip(earlier, later, strict=False)) if one != two), len(later))
    return same / len(later)


def test_the_window_steps_by_several_pieces_and_nothing_is_ever_in_neither(archive: Archive, chat: Chat) -> None:
    server = Server(archive, chat)
    steps, before = 0, None
    for number in range(60):
        context = server.ask(f"what about {number}")
        # With the message that is asked.
        ids = [one.message_id for one in context.turns]
        assert min(2 * number, WINDOW) < len(ids) <= WINDOW + INTERVAL * (STRIDE + 1)
        told = context.summary.messages if context.summary else 0
        assert told == min(2 * number + 1 - len(ids), 6 * INTERVAL)
        steps += begin(context) != before
        before = begin(context)
    # Two messages a time; pieces of five, three at once.
    assert steps <= 2 + 60 * 2 / (INTERVAL * STRIDE)


def test_a_prompt_goes_on_from_the_one_before_up_to_its_new_memories(archive: Archive, chat: Chat) -> None:
    server = Server(archive, chat)
    questions = ["lemon tea?", "which mug?", "how was March?", "is it cold?", "tea with what?"]
    built = [server.ask(questions[number % len(questions)]) for number in range(40)][10:]
    pairs = [(earlier, later) for earlier, later in pairwise(built) if begin(earlier) == begin(later)]
    assert len(pairs) > 20
    assert min(alike(earlier.prompt, later.prompt) for earlier, later in pairs) > 0.6
    # The budget is kept, whichever side of the talk they stand on.
    assert max(estimate_tokens(context.prompt) for context in built) <= 2000
    for _, later in pairs:
        # Nothing is told twice.
        assert len(quoted(later)) == len(set(quoted(later)))


def test_what_is_new_stands_below_the_talk_and_what_was_found_first_above(archive: Archive, chat: Chat) -> None:
    server = Server(archive, chat)
    for number in range(3):
        server.ask(f"so {number}")
    first, second = server.ask("lemon in tea?"), server.ask("how cold was March?")
    if begin(first) == begin(second):
        talk = second.prompt.index("mia: so 0")
        new = [line for line in quoted(second) if line not in quoted(first)]
        assert new
        assert all(second.prompt.index(line) > talk for line in new)


def test_what_may_not_be_remembered_any_more_is_gone_at_once(archive: Archive, chat: Chat) -> None:
    server = Server(archive, chat)
    server.ask("hello")
    server.ask("lemon tea?")
    shown = server.ask("and lemon tea now?")
    assert quoted(shown)
    gone = quoted(shown)[0]
    archive.delete([one.id for one in server.lore if one.rendered == gone], at=chat.now)
    assert gone not in quoted(server.ask("lemon tea again?"))
    refuse(archive, TOM)
    context = server.ask("lemon tea still?")
    assert quoted(context) == []
    assert context.memories == ()


def test_other_readers_are_shown_nothing_that_was_found_for_these(archive: Archive, chat: Chat) -> None:
    server = Server(archive, chat)
    server.ask("hello")
    server.ask("lemon tea?")
    assert quoted(server.ask("lemon tea, all of you?"))
    assert quoted(server.ask("lemon tea, here?", frozenset({1}))) == []


def test_an_edit_shows(archive: Archive, chat: Chat) -> None:
    server = Server(archive, chat)
    server.ask("hello")
    server.ask("lemon tea?")
    line = quoted(server.ask("lemon tea now?"))[0]
    old = next(one for one in server.lore if one.rendered == line)
    edited = Message(old.id, 2, TOM, old.created_at, "never mind", "never mind", edited_at=chat.now + 1)
    archive.add([edited], source=archive.add_source("gateway", "x"), fetched_at=chat.now + 1)
    after = quoted(server.ask("lemon tea now, again?"))
    assert line not in after
    assert "never mind" in after


def test_memories_can_be_placed_otherwise_and_the_builders_own_windows_are_not_touched(
    archive: Archive, chat: Chat
) -> None:
    server = Server(archive, chat)
    server.ask("hello")
    asked = turn(chat.say(MIA, "lemon in tea?"))
    recent = server.short_term.recent(1, before=asked.message_id)
    hits = server.memory.search(asked.text, limit=10, exclude=[one.message_id or 0 for one in (*recent, asked)]).hits
    names = {1: "general", 2: "lore"}
    above = server.builder.placing(Lasting(archive)).build(asked, recent, hits, names)
    below = server.builder.placing(None).build(asked, recent, hits, names)
    assert quoted(above)
    assert quoted(below)
    talk = "mia: hello"
    assert above.prompt.index(quoted(above)[0]) < above.prompt.index(talk)
    assert below.prompt.index(quoted(below)[0]) > below.prompt.index(talk)
    assert quoted(server.builder.placing(None).build(asked, recent, (), names)) == []
