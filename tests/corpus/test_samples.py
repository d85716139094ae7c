"""Samples: what is learned of each line, nothing lost or learned twice, and training reading what serving writes."""

import random
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from sususbot import chat_format
from sususbot.chat_format import Names
from sususbot.corpus.samples import Play, Said, Sample, Shape, parts, prompted, sample
from sususbot.messages import Turn
from tests.corpus.talk import MIA, MINUTE, NOON, SECOND, TOM

PERSONA = "This is the chat of Tea house."
NAMES = Names(
    {1: ("Mia", "mia"), 2: ("Tom", "tom.k"), 3: ("Ana", "ana"), 4: ("Mia", "mia2"), 5: ("susu", "real_susu")}, "susu"
)
SHAPE = Shape(1024, 0.1, 5 * MINUTE, 12)


def said(*lines: tuple[int, str], every: int = 6 * MINUTE, tokens: int = 10) -> list[Said]:
    return [Said((100 + n,), author, NOON + n * every, text, tokens) for n, (author, text) in enumerate(lines)]


def made(
    lines: list[Said], play: Play, shape: Shape = SHAPE, *, names: Names[int] = NAMES, cut: bool = False
) -> list[Sample]:
    return [sample(part, play, names, shape) for part in parts(20, lines, shape, cut=cut)]


def one(lines: list[Said], play: Play, *, names: Names[int] = NAMES, cut: bool = False) -> Sample:
    (only,) = made(lines, play, names=names, cut=cut)
    return only


def test_played_lines_weigh_one_others_little_and_an_opening_no_more_than_others() -> None:
    lines = said((1, "morning"), (2, "hi @Mia"), (1, "tea?"), (3, "yes"))
    played = one(lines, Play(MIA.id))
    assert [(turn.speaker, turn.text, turn.weight, turn.own, turn.unprompted) for turn in played.turns] == [
        ("susu", "morning", 0.1, True, True),
        ("Tom", "hi @susu", 0.1, False, False),
        ("susu", "tea?", 1.0, True, False),
        ("Ana", "yes", 0.1, False, False),
    ]
    assert played.trained == 10 * (1 + 0.3)
    assert [prompted(part) for part in parts(20, lines, SHAPE)] == [{1: (20, 10), 2: (10, 10), 3: (10, 10)}]


def test_the_played_member_is_nowhere_under_the_own_name() -> None:
    played = one(said((2, "@Mia @mia @Miab?"), (1, "@Mia waves")), Play(MIA.id))
    assert [turn.text for turn in played.turns] == ["@susu @susu @Miab?", "@susu waves"]


def test_no_two_speakers_are_called_alike() -> None:
    played = one(said((1, "a"), (4, "b"), (5, "c"), (2, "d")), Play(TOM.id))
    assert [turn.speaker for turn in played.turns] == ["Mia", "mia2", "real_susu", "susu"]


def test_a_run_of_one_member_is_one_turn() -> None:
    lines = said((1, "so"), (1, "listen"), (2, "what"), (2, "is it"), every=SECOND)
    played = one(lines, Play(TOM.id))
    assert [(turn.text, turn.message_ids) for turn in played.turns] == [
        ("so\nlisten", (100, 101)),
        ("what\nis it", (102, 103)),
    ]
    # Both runs are in it: neither is thrown away for the other.
    apart = one(said((1, "so"), (1, "listen"), (2, "what")), Play(TOM.id))
    assert len(apart.turns) == 3


def test_a_line_with_a_mark_is_read_and_not_learned_and_spares_its_neighbours() -> None:
    lines = [
        Said((1,), 1, NOON, "look", 5),
        Said((2,), 1, NOON + 1, "see [link]", 5, marked=True),
        Said((3,), 2, NOON + 2, "wow", 5),
        Said((4,), 2, NOON + 3, "[mail]", 5, marked=True),
    ]
    played = one(lines, Play(TOM.id))
    assert [(turn.text, turn.weight) for turn in played.turns] == [
        ("look", 0.1),
        ("see [link]", 0),
        ("wow", 1),
        ("[mail]", 0),
    ]


def test_scales_reach_every_line_of_a_member() -> None:
    played = one(said((1, "a"), (2, "b"), (1, "c")), Play(MIA.id, {1: 0.5}))
    assert [turn.weight for turn in played.turns] == [0.05, 0.1, 0.5]


def test_a_long_conversation_is_divided_at_its_longest_silence() -> None:
    times = [0, 1, 2, 3, 4, 20, 21, 22, 23, 24]
    lines = [Said((n,), 1 + n % 2, NOON + at * MINUTE, f"line {n}", 50) for n, at in enumerate(times)]
    shape = Shape(480, 0.1, 0, 12)
    first, second = made(lines, Play(TOM.id), shape, cut=True)
    learned = [[turn.text for turn in whole.turns if turn.weight] for whole in (first, second)]
    assert learned == [[f"line {n}" for n in range(5)], [f"line {n}" for n in range(5, 10)]]
    # The later part reads what came before, and does not learn it again.
    assert [turn.text for turn in second.turns if not turn.weight] == ["line 4"]
    assert (first.cut, second.cut, first.ends, second.ends) == (True, False, False, True)
    assert first.id != second.id


@settings(max_examples=100)
@given(st.integers(0, 1 << 30), st.integers(1, 60), st.sampled_from([256, 512, 1024]))
def test_nothing_is_lost_nothing_is_learned_twice_and_all_fits(seed: int, count: int, budget: int) -> None:
    chance = random.Random(seed)
    at, lines = NOON, []
    for number in range(count):
        at += chance.choice([SECOND, MINUTE, 10 * MINUTE])
        tokens = chance.choice([1, 8, 30, 300, 900])
        lines.append(
            Said((number,), chance.randint(1, 4), at, f"{number} " + "word " * tokens, tokens, chance.random() < 0.1)
        )
    shape = Shape(budget, 0.1, 5 * MINUTE, 12)
    divided = list(parts(20, lines, shape))
    samples = [sample(part, Play(lines[0].author_id), NAMES, shape) for part in divided]
    turns = [turn for whole in samples for turn in whole.turns]
    assert words(turn.text for turn in turns if turn.weight) == words(one.text for one in lines if not one.marked)
    assert words(one.text for part in divided for one in part.lines) == words(one.text for one in lines)
    for whole, part in zip(samples, divided, strict=True):
        assert whole.tokens <= budget
        assert [turn.at for turn in whole.turns] == sorted(turn.at for turn in whole.turns)
        assert round(sum(turn.weight * turn.tokens for turn in whole.turns), 3) == whole.trained
        # What is repeated is read only, and what the bot says has something before it.
        assert all(not turn.weight for turn in whole.turns[: len(part.before)])
        assert whole.turns[0].weight < 1
        full = sum(turn.tokens for turn in whole.turns if turn.weight == 1)
        assert full == prompted(part).get(whole.played, (0, 0))[1]
    assert len({whole.id for whole in samples}) == len(samples)


def words(texts: Iterable[str]) -> str:
    return "".join("".join(texts).split())


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=20))
def test_training_reads_what_serving_writes(asked: str, reply: str, name: str) -> None:
    """The one renderer: joined, the pieces are the prompt with the reply in its place."""
    turns = [
        (Turn("Tom", "first\nlines", 1), 0.1),
        (Turn(name, asked, 2), 0.0),
        (Turn("susu", reply, 3, own=True), 1.0),
    ]
    pieces = chat_format.weighted(PERSONA, turns)
    lines = [chat_format.line(turn) for turn, _ in turns]
    prompt = chat_format.prompt(PERSONA, lines[:1], (), lines[1], "susu")
    assert "".join(text for text, _ in pieces) == f"{prompt} {chat_format.one_line(reply)}\n"
    assert "".join(text for text, weight in pieces if weight == 1.0) == f" {chat_format.one_line(reply)}\n"
    assert chat_format.spoken(pieces[-1][0], "susu", ["Tom"]) is not None


def test_the_text_of_a_sample() -> None:
    played = one(said((2, "tea?\nor coffee?"), (1, "tea!"), (3, "+1")), Play(MIA.id))
    assert played.pieces(PERSONA) == [
        ("This is the chat of Tea house.\n\n", 0.0),
        ("Tom:", 0.0),
        (" tea? ⏎ or coffee?\n", 0.1),
        ("susu:", 0.0),
        (" tea!\n", 1.0),
        ("Ana:", 0.0),
        (" +1\n", 0.1),
    ]


def test_a_sample_survives_its_file() -> None:
    played = one(said((2, "ünï ⏎ 😀\n\u2028x"), (1, "tea!")), Play(MIA.id), cut=True)
    row = played.as_json()
    assert row.count(b"\n") == 1
    assert Sample.from_json(row) == played


def test_names_hold_no_personal_data() -> None:
    names = Names({1: ("mia@example.com", "mia"), 2: ("Tom", "tom")}, "susu")
    assert one(said((1, "a"), (2, "b")), Play(TOM.id), names=names).turns[0].speaker == "[mail]"
