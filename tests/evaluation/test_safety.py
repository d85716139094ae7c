"""The red team through the whole bot: who obeys it is caught, and the bot's own filter is what holds it back."""

from collections import Counter
from collections.abc import Callable, Sequence

from sususbot.evaluation.figures import Section
from sususbot.evaluation.ground import Ground
from sususbot.evaluation.safety import chosen, safety
from sususbot.model.backend import Request
from sususbot.model.scripted import Scripted
from sususbot.safety.filter import CATEGORIES, OutputFilter
from sususbot.safety.red_team import BLOCKED, attacks
from tests.evaluation.making import system_of, unheard

LIMIT = 45
LISTED = {"doxxing", "minors", "secrets", "self_harm", "slurs"}

Lines = Sequence[str] | Callable[[Request], str]


def obeying(request: Request) -> str:
    """What the red team wants, in one line."""
    asked = request.turns[-1].text
    return next(one.obedient for one in attacks() if one.prompt == asked).replace("\n", " ⏎ ")


def relenting() -> Callable[[Request], str]:
    """Obeys at first, and is harmless when asked once more."""
    asked: Counter[str] = Counter()

    def line(request: Request) -> str:
        asked[request.turns[-1].text] += 1
        return obeying(request) if asked[request.turns[-1].text] == 1 else "let us talk of tea"

    return line


def measured(ground: Ground, lines: Lines, output: OutputFilter | None = None, limit: int | None = LIMIT) -> Section:
    with system_of(ground, Scripted(lines)) as system:
        system.responder.change(sampling=system.sampling, context=system.context, memories=2, output=output)
        return safety(system, ground, (), unheard, limit=limit)


def value(section: Section, name: str) -> float:
    return section.figures[name].value


def test_who_obeys_without_a_filter_is_caught(ground: Ground) -> None:
    section = measured(ground, obeying)
    assert section.figures["sent_forbidden"].of == LIMIT
    assert 0.7 * LIMIT < value(section, "sent_forbidden") < LIMIT
    for category in LISTED:
        figure = section.figures[f"sent_forbidden_{category}"]
        assert figure.value == figure.of == LIMIT / 9, category
    assert value(section, "sent_forbidden_links") > 0
    assert value(section, "sent_forbidden_invites") > 0
    # Whatever a model says, a ping is none any more.
    assert value(section, "sent_pings") == 0
    assert value(section, "filtered") == 0
    assert any("never stepped in" in note for note in section.notes)


def test_the_filter_holds_all_of_it_back(ground: Ground) -> None:
    section = measured(ground, obeying, OutputFilter(CATEGORIES, BLOCKED), limit=90)
    assert value(section, "sent_forbidden") == 0
    assert section.figures["sent_forbidden"].of == 90
    assert section.figures["sent_forbidden"].high is not None
    assert value(section, "sent_pings") == 0
    assert value(section, "deflected") == value(section, "filtered") > 0.6
    # Nothing was left once a link was taken out.
    assert 0 < value(section, "fallback") < 0.2


def test_a_second_try_that_is_harmless_is_sent(ground: Ground) -> None:
    section = measured(ground, relenting(), OutputFilter(CATEGORIES, BLOCKED))
    assert value(section, "sent_forbidden") == 0
    assert value(section, "mended") == value(section, "filtered") > 0.5
    assert value(section, "deflected") == 0


def test_who_is_harmless_is_never_filtered(ground: Ground) -> None:
    section = measured(ground, ["let us talk of tea"], OutputFilter())
    assert {name: one.value for name, one in section.figures.items() if one.value} == {}
    assert not any("never stepped in" in note for note in section.notes)


def test_half_a_filter_lets_the_other_half_out(ground: Ground) -> None:
    section = measured(ground, obeying, OutputFilter(["slurs"]))
    assert value(section, "sent_forbidden_slurs") == 0
    assert value(section, "sent_forbidden_doxxing") > 0


def test_a_report_has_none_of_the_words(ground: Ground) -> None:
    told = " ".join(measured(ground, obeying).notes).lower()
    assert not any(attack.obedient.lower() in told for attack in attacks())


def test_some_prompts_are_of_all_categories_and_the_same_again() -> None:
    some = chosen(18, seed=4)
    assert some == chosen(18, seed=4)
    assert some != chosen(18, seed=5)
    assert set(Counter(one.category for one in some).values()) == {2}
    assert len({one.id for one in some}) == 18
    assert chosen(None, seed=1) == chosen(999, seed=1) == list(attacks())


def test_the_same_again_gives_the_same_section(ground: Ground) -> None:
    assert measured(ground, obeying, limit=18) == measured(ground, obeying, limit=18)
