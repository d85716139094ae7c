"""How figures are written, and which sentences are said when."""

from dataclasses import replace
from pathlib import Path

import pytest

from sususbot.analysis import cost, report
from sususbot.analysis.activity import Clock
from sususbot.analysis.analysis import Analysis, Counted, Span
from sususbot.analysis.page import as_json
from sususbot.analysis.statistics import analyze
from sususbot.corpus.tokens import Estimate
from tests.analysis import teahouse
from tests.support.systems import SHELL


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    with teahouse.built(tmp_path_factory.mktemp("teahouse")) as archive:
        return analyze(archive, Clock("UTC"), Estimate())


def said(analysis: Analysis) -> str:
    values = as_json(analysis)
    return "\n".join(report.written(values, sentence) for sentence in report.findings(analysis))


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "0"), (1234567, "1,234,567"), (20.7, "20.7"), (23.0, "23"), (None, "–"), (1234.56, "1,234.6")],
)
def test_numbers(value: float | None, written: str) -> None:
    assert report.number(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.0003, "< 0.1 %"),
        (0.9996, "> 99.9 %"),
        (0.0612, "6.1 %"),
        (0.5, "50 %"),
        (0.9951, "99.5 %"),
    ],
)
def test_shares_never_hide_what_is_there(value: float, written: str) -> None:
    assert report.percent(value) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.4, "0 s"),
        (59.0, "59 s"),
        (60, "1 min"),
        (90, "1.5 min"),
        (3600, "1 h"),
        (86_400, "24 h"),
        (172_800, "2 days"),
        (None, "–"),
    ],
)
def test_durations(seconds: float | None, written: str) -> None:
    assert report.duration(seconds) == written


def test_a_sentence_holds_paths_and_gets_figures() -> None:
    values = {"a": [{"b": 1200}], "s": {"low": 1.3, "high": 2.0}}
    assert report.written(values, "{a.0.b:number} of {s:span}, {{") == "1,200 of 1.3 – 2, {{"
    assert report.parts("x{a.0.b:number}") == ["x", ("a.0.b", "number"), ""]


def test_findings_say_what_an_owner_must_know(analysis: Analysis) -> None:
    text = said(analysis)
    assert "323 messages of 8 members in 2 channels, 29 Mar 2024 to 30 Apr 2024" in text
    assert "CONSENT is opt-out; members whose answer is written down: 3; who said no to everything: 1." in text
    assert "on a GeForce RTX 2080 Ti" in text
    assert "More than one language" in text
    assert "if that is a bot" not in text


def test_opt_in_is_not_called_a_no(analysis: Analysis) -> None:
    changed = replace(analysis, authors=replace(analysis.authors, consent="opt-in"))
    assert "who have not said yes to anything: 1." in said(changed)


def test_a_rule_that_drops_much_is_named(analysis: Analysis) -> None:
    rules = list(analysis.cleaning.rules)
    rules[1] = replace(rules[1], dropped=200)
    changed = replace(analysis, cleaning=replace(analysis.cleaning, rules=tuple(rules)))
    assert "The rule “bots” drops most, 200: what bots and webhooks write is dropped." in said(changed)


def test_a_member_who_mostly_repeats_is_named(analysis: Analysis) -> None:
    changed = replace(analysis, duplicates=replace(analysis.duplicates, repeaters=(Counted("Mia", 50),)))
    assert "Mia said 50 times what had been said before: if that is a bot" in said(changed)


def test_nothing_to_learn_is_told(analysis: Analysis) -> None:
    changed = replace(analysis, training=cost.training(0, 0))
    assert "nothing to train: ask members, or set CONSENT" in said(changed)


# -- what training would take: the figures of the arithmetic, by hand


def test_the_target_card() -> None:
    """1.6 M tokens: 31 to 33 minutes at best (800 to 850 tokens/s), and 20 TFLOPS of 47.6 GFLOP a token at worst."""
    costs = cost.training(64_000, 1_600_000)
    assert costs.memory_gb == Span(6.8, 7.4)
    (card,) = costs.cards
    assert (card.name, card.found, card.fits) == ("GeForce RTX 2080 Ti", False, "yes")
    assert card.tokens_per_s is not None
    assert card.epoch_minutes is not None
    assert card.training_hours is not None
    assert 800 <= card.tokens_per_s.high <= 850
    assert card.tokens_per_s.low == round(20e12 / 47.6e9)
    assert 31 <= card.epoch_minutes.low <= 33
    assert card.epoch_minutes.high == pytest.approx(1_600_000 * 47.6e9 / 20e12 / 60, abs=0.2)
    assert card.training_hours.low == pytest.approx(3 * card.epoch_minutes.low / 60, abs=0.06)
    assert (costs.tokens_per_message, costs.no_card) == (25.0, "no NVIDIA card was found in this machine")


def test_memory_follows_rank_and_rows() -> None:
    assert cost.memory_gb(rank=64).low == pytest.approx(cost.memory_gb().low + 3 * 0.68, abs=0.06)
    assert cost.memory_gb(pack_tokens=4096).high == pytest.approx(cost.memory_gb().high + 0.54 + 0.7, abs=0.06)


def test_cards_of_this_machine_come_first() -> None:
    told = "NVIDIA GeForce RTX 2080 Ti, 11264\nNVIDIA GeForce RTX 3050, 8192\nTesla K80, 6144\nFailed to initialize\n"
    here = cost.cards_told(told)
    assert here == [
        cost.Card("GeForce RTX 2080 Ti", 11.0),
        cost.Card("GeForce RTX 3050", 8.0),
        cost.Card("Tesla K80", 6.0),
    ]
    costs = cost.training(1, 1000, here)
    assert [(card.name, card.fits, card.tokens_per_s is None) for card in costs.cards] == [
        ("GeForce RTX 2080 Ti", "yes", False),
        ("GeForce RTX 3050", "tight", True),
        ("Tesla K80", "no", True),
    ]
    assert costs.no_card == ""


def test_no_driver_is_no_card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cost.cards_here() == []


@SHELL
def test_the_driver_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho 'NVIDIA GeForce RTX 3060, 12288'\n", encoding="utf-8")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert cost.cards_here() == [cost.Card("GeForce RTX 3060", 12.0)]


@pytest.mark.parametrize("name", cost.CARDS)
def test_no_card_is_faster_at_worst_than_at_best(name: str) -> None:
    speed = cost.tokens_per_s(cost.CARDS[name])
    assert 0 < speed.low <= speed.high
