"""What context is worth: much to who reads it, nothing to who does not; to shuffled replies no more than another's."""

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Final

import pytest

from sususbot.archive.archive import Archive
from sususbot.evaluation.context import context
from sususbot.evaluation.contexts import Shown, context_of, partners
from sususbot.evaluation.figures import Section
from sususbot.evaluation.ground import Exchange, Ground
from sususbot.memory.long_term import LongTerm
from sususbot.messages import Message, Turn
from sususbot.model.backend import Deadline
from sususbot.model.scoring import Scored
from sususbot.model.scripted import Scripted
from tests.evaluation.making import (
    BEGIN,
    DAY,
    GARDEN,
    KITCHEN,
    MIA,
    MINUTE,
    THINGS,
    TOM,
    Counting,
    fill,
    message,
    recall,
    system_of,
    unheard,
)

PAIRS: Final = 20
# Of each pair: what is asked for, what memory knows of it, what was just said of it.
NAMED, KNOWN, HINTED = THINGS[:PAIRS], THINGS[PAIRS : 2 * PAIRS], THINGS[2 * PAIRS :]


class Deaf(Counting):
    """Knows how likely a text is, whatever was said before."""

    def score(self, prompt: str, texts: Sequence[str], deadline: Deadline) -> list[Scored]:
        return super().score(prompt[:0], texts, deadline)


def lore() -> list[Message]:
    """What is known of each thing, long before it is asked for."""
    return [
        message(BEGIN + place * DAY, TOM, f"the {thing} opens with {known} {known}", (KITCHEN, GARDEN)[place % 2])
        for place, (thing, known) in enumerate(zip(NAMED, KNOWN, strict=True))
    ]


def asked_for(place: int) -> Exchange:
    """A reply that needs what memory knows and what was just said."""
    hint, at = f"{place}{HINTED[place % len(HINTED)]}", BEGIN + (100 + place) * DAY
    channel = (KITCHEN, GARDEN)[place % 2].id
    texts = [f"{hint} {hint} you know", "hm", f"what opens the {NAMED[place]}?"]
    earlier = [f"hello {number} hello" for number in range(6)]
    turns = [
        Turn(
            name, text, at + number * 6 * MINUTE, own=name == "Mia", message_id=place * 100 + number + 1, author_id=id_
        )
        for number, (text, (name, id_)) in enumerate(
            zip([*earlier, *texts], [("Ana", 3), ("Mia", 1), ("Tom", 2)] * 3, strict=True)
        )
    ]
    reply = f"{KNOWN[place]} {hint}"
    return Exchange(place + 1, channel, MIA, turns[-1].at + MINUTE, (), tuple(turns[6:]), reply, tuple(turns[:6]))


@pytest.fixture(scope="module")
def asking(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A server where a reply can be told by what memory and talk say."""
    with Archive(tmp_path_factory.mktemp("asking")) as archive:
        fill(archive, lore())
        with closing(LongTerm(archive, None, None)) as memory:
            exchanges = [asked_for(place) for place in range(PAIRS)]
            yield replace(ground, archive=archive, long_term=memory, exchanges=exchanges, memories=2)


def measured(ground: Ground, backend: Scripted) -> Section:
    with system_of(ground, backend) as system:
        return context(system, ground, (), unheard)


@pytest.fixture(scope="module")
def reading(asking: Ground) -> Section:
    return measured(asking, Counting())


def test_who_reads_gains_by_memory_and_by_talk(reading: Section) -> None:
    figures = reading.figures
    for part in ("by_memories", "over_others_memories", "by_recent", "over_others_recent", "over_persona_alone"):
        assert (figures[f"bits_saved_{part}"].low or 0) > 0, part
    assert (figures["bits_saved_by_all"].low or 0) > 0
    assert figures["accuracy_full"].value > 0.9
    assert figures["accuracy_message_alone"].value < 0.5
    assert (figures["accuracy_gained_by_all"].low or 0) > 0
    order = ["full", "without_memories", "message_alone", "persona_alone"]
    values = [figures[f"bits_per_byte_{name}"].value for name in order]
    assert values == sorted(values)
    # A pair's values are behind the figure.
    items = reading.items["bits_per_byte_full"]
    assert sum(items) / len(items) == pytest.approx(figures["bits_per_byte_full"].value)


def test_who_reads_nothing_gains_nothing(asking: Ground, reading: Section) -> None:
    figures = measured(asking, Deaf()).figures
    saved = [figure.value for name, figure in figures.items() if name.startswith(("bits_saved", "accuracy_gained"))]
    assert saved == pytest.approx([0.0] * len(saved))
    # Ten alike: drawn by chance.
    assert figures["accuracy_full"].value == pytest.approx(0.1)
    assert figures["bits_per_byte_full"].value > reading.figures["bits_per_byte_full"].value


def test_with_shuffled_replies_context_is_worth_no_more_than_anybodys(asking: Ground) -> None:
    replies = [one.reply for one in asking.exchanges]
    shuffled = [
        replace(one, reply=reply) for one, reply in zip(asking.exchanges, [*replies[7:], *replies[:7]], strict=True)
    ]
    figures = measured(replace(asking, exchanges=shuffled), Counting()).figures
    assert figures["accuracy_full"].value < 0.3
    for part in ("memories", "recent"):
        assert (figures[f"bits_saved_over_others_{part}"].low or 0) <= 0.05


def test_a_backend_without_likelihoods_is_not_measured_and_says_so(asking: Ground) -> None:
    for backend in (Scripted(["hm"]), recall(asking)):
        with system_of(asking, backend) as system:
            section = context(system, asking, (), unheard)
        assert not section.figures
        assert "not measured" in section.notes[0]
        assert "how likely" in section.notes[0]


def test_a_prompt_is_what_it_is_called(asking: Ground) -> None:
    one, other = asking.exchanges[3], partners(asking)[3]
    assert other.channel_id != one.channel_id
    with system_of(asking, Counting()) as system:

        def prompt(shown: Shown) -> str:
            return context_of(system, asking, one, shown, other).prompt

        whole = prompt(Shown())
        memory, talk, earlier = f"opens with {KNOWN[3]}", one.recent[0].text, "hello 1 hello"
        assert whole.index(earlier) < whole.index(memory) < whole.index(talk) < whole.index(one.recent[-1].text)
        below = prompt(Shown(below=True))
        assert below.index(talk) < below.index(memory) < below.index(one.recent[-1].text)
        assert sorted(filter(None, below.split("\n"))) == sorted(filter(None, whole.split("\n")))
        assert memory not in prompt(Shown(memories="none"))
        assert f"opens with {KNOWN[other.id - 1]}" in prompt(Shown(memories="others"))
        assert talk not in prompt(Shown(recent="none"))
        assert other.recent[0].text in prompt(Shown(recent="others"))
        assert earlier not in prompt(Shown(summary="none"))
        nothing = prompt(Shown(memories="none", recent="none", summary="none"))
        assert nothing.split("\n") == [asking.persona, "", "Tom: " + one.recent[-1].text, "susu:"]
        with pytest.raises(ValueError, match="whose"):
            context_of(system, asking, one, Shown(recent="others"))


def test_partners_are_others_and_the_same_in_each_run(asking: Ground) -> None:
    found = partners(asking)
    assert partners(asking) == found
    assert all(one is not other for one, other in zip(asking.exchanges, found, strict=True))
    assert len({one.id for one in found}) > PAIRS // 3


def test_of_many_exchanges_some_are_measured_and_their_values_keep_their_places(asking: Ground) -> None:
    many = [replace(one, id=one.id + 100 * turn) for turn in range(6) for one in asking.exchanges]
    section = measured(replace(asking, exchanges=many), Deaf(reach=0))
    items = section.items["bits_per_byte_full"]
    known = [value for value in items if not math.isnan(value)]
    assert (len(items), len(known)) == (120, 60)
    assert section.figures["bits_per_byte_full"].of == 60
    assert section.figures["accuracy_full"].of == 40
    assert sum(known) / 60 == pytest.approx(section.figures["bits_per_byte_full"].value)
