"""Two systems side by side: what is better, what is an accident, and what cannot be told."""

import random

import pytest

from sususbot.evaluation.compare import Compared, Side, compare, differing, verdict
from sususbot.evaluation.figures import Figure, Section, share
from tests.evaluation.reports import EXCHANGES, hits, report_of, section


def compared(first: Section, second: Section) -> Compared:
    (one,) = compare(Side("a", EXCHANGES, {"x": first}), Side("b", EXCHANGES, {"x": second}))
    return one


def test_pairs_tell_what_intervals_do_not() -> None:
    """Each item is a little better, by less than items differ among themselves."""
    chance = random.Random(0)
    items = [chance.random() for _ in EXCHANGES]
    one = compared(section("x", bits=[item + 0.02 for item in items]), section("x", bits=items))
    assert one.verdict == "better"
    assert one.difference is not None
    assert one.difference.value == pytest.approx(0.02)
    assert compared(section("x", bits=items), section("x", bits=items)).verdict == "no difference that counts"
    # By intervals alone it cannot be told.
    assert verdict(one.first, one.second, None) == "no difference that counts"


def test_shuffled_items_are_no_difference() -> None:
    items = hits(20)
    shuffled = random.Random(1).sample(items, len(items))
    assert compared(section("x", a=items), section("x", a=shuffled)).verdict == "no difference that counts"


def test_which_way_is_good_decides() -> None:
    few, many = share(2, 100, "lower"), share(60, 100, "lower")
    assert verdict(few, many, None) == "better"
    assert verdict(many, few, None) == "worse"
    assert verdict(share(60, 100, "higher"), share(2, 100, "higher"), None) == "better"


@pytest.mark.parametrize("other", [Figure(float("nan"), better="higher"), Figure(1.0, better="higher")])
def test_what_has_no_value_or_no_interval_is_not_told(other: Figure) -> None:
    assert verdict(share(60, 100, "higher"), other, None) == "not to be told"


def test_only_exchanges_that_both_have_are_paired() -> None:
    ours = Side("a", EXCHANGES, {"x": section("x", a=hits(30))})
    half = EXCHANGES[20:]
    theirs = Side("b", half, {"x": section("x", a=[0.0] * len(half))})
    (one,) = compare(ours, theirs)
    assert one.difference is not None
    assert one.difference.of == len(half)
    assert one.difference.value == pytest.approx(0.5)


def test_few_items_are_too_few_to_tell() -> None:
    assert verdict(share(0, 12, "higher"), share(12, 12, "higher"), None) == "too few to tell"
    few = EXCHANGES[:12]
    ours, theirs = (Side("a", few, {"x": section("x", a=[value] * 12)}) for value in (1.0, 0.0))
    assert [one.verdict for one in compare(ours, theirs)] == ["too few to tell"]


def test_what_differs_besides_the_systems_is_named() -> None:
    systems = {"bot": {"x": section("x", a=hits(30))}}
    winter = Side.of(report_of(systems), "bot")
    assert differing(winter, winter) == []
    other = report_of(systems, seed=1, settings={"temperature": 0.1}, corpus={"name": "big", "files": {}})
    assert differing(winter, Side.of(other, "bot")) == [
        "corpus default and big",
        "seed 0 and 1",
        "TEMPERATURE 0.8 and 0.1",
        "files of the corpus",
    ]


def test_what_only_one_was_measured_on_is_left_out() -> None:
    report = report_of({"bot": {"x": section("x", a=hits(30)), "y": Section("y")}, "base": {"x": Section("x")}})
    assert compare(Side.of(report, "bot"), Side.of(report, "base")) == []
    assert Side.of(report, "bot").title == "winter/bot"
