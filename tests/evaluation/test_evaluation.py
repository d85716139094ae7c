"""The runner: one system after another, what fails leaves a sentence, and the same seed gives the same report."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from sususbot.errors import BackendFailed, CannotScore, ModelNotFound
from sususbot.evaluation import measures
from sususbot.evaluation.evaluation import EXAMPLES, Measure, Report, evaluate
from sususbot.evaluation.figures import Figure, Section
from sususbot.evaluation.ground import Ground, Opening, System, Told
from sususbot.evaluation.language import language
from sususbot.evaluation.replies import Replies, replies
from sususbot.model.backend import Backend
from sususbot.model.scripted import Scripted
from tests.evaluation.making import LEO, MIA, Counting, ground_of, system_of, unheard

# Few lines, where they need not tell much.
LANGUAGE: Measure = partial(language, lines=60)


def opening(name: str, backend: Backend, seen: list[str]) -> Opening:
    @contextmanager
    def opened(ground: Ground) -> Iterator[System]:
        seen.append(f"{name} opened")
        with system_of(ground, backend, name) as system:
            yield system
        seen.append(f"{name} closed")

    return opened


def cannot_be_opened(_ground: Ground) -> Any:
    raise ModelNotFound("there is no model: run  sususbot models")


def breaks(_system: System, _ground: Ground, _replies: Replies, _told: Told) -> Section:
    raise BackendFailed("the engine broke: start again")


def run(ground: Ground, openings: Mapping[str, Opening], chosen: Mapping[str, Measure], **more: Any) -> Report:
    given: dict[str, Any] = {"speak": replies, "told": unheard, "progress": lambda *_: None, **more}
    return evaluate(openings, ground, measures=chosen, name="one", settings={"memories": 5}, **given)


@pytest.fixture(scope="module")
def few(ground: Ground) -> Ground:
    """Fewer exchanges, where they need not tell anything."""
    return replace(ground, exchanges=ground.exchanges[:EXAMPLES])


@pytest.fixture(scope="module")
def learned(ground: Ground) -> str:
    return "\n".join(turn.text for sample in ground.corpus.train() for turn in sample.turns)[-20_000:]


def test_a_system_that_learned_stands_above_one_that_did_not_and_one_is_loaded_at_a_time(
    few: Ground, learned: str
) -> None:
    seen: list[str] = []
    openings = {
        "bot": opening("bot", Counting(learned, lines=["the ladle is in the attic"]), seen),
        "base": opening("base", Counting("", lines=["hm"]), seen),
    }
    report = run(few, openings, {"language": LANGUAGE, "voice": measures.chosen(["voice"], measures.Given())["voice"]})
    assert seen == ["bot opened", "bot closed", "base opened", "base closed"]
    assert list(report.systems) == ["bot", "base"]
    assert all(list(sections) == ["language", "voice"] for sections in report.systems.values())
    bits = [report.systems[system]["language"].figures["bits_per_byte"].value for system in ("bot", "base")]
    assert bits[0] < bits[1]
    assert report.exchanges == tuple(exchange.id for exchange in few.exchanges)
    assert report.corpus["files"]["train.jsonl"]["sha256"]
    assert len(report.examples) == EXAMPLES
    assert all(example.said == {"bot": "the ladle is in the attic", "base": "hm"} for example in report.examples)


def test_the_same_seed_gives_the_same_report_and_it_comes_back_from_json(few: Ground) -> None:
    def once() -> Report:
        return run(few, {"bot": opening("bot", Counting(), [])}, {"language": LANGUAGE})

    first, second = once(), once()
    assert replace(first, date="") == replace(second, date="")
    assert Report.from_json(orjson.loads(orjson.dumps(first.as_json()))) == first


def test_numbers_that_are_none_survive_json(few: Ground) -> None:
    def nothing(*_: object) -> Section:
        return Section("nothing", {"a": Figure(float("nan"))}, {"a": [1.0, float("nan")]}, ("why",))

    report = run(few, {"bot": opening("bot", Scripted(["hm"]), [])}, {"nothing": nothing})
    again = Report.from_json(orjson.loads(orjson.dumps(report.as_json())))
    section = again.systems["bot"]["nothing"]
    assert str(section.figures["a"].value) == "nan"
    assert str(list(section.items["a"])) == "[1.0, nan]"
    assert section.notes == ("why",)


def test_what_fails_leaves_its_sentence_and_the_rest_goes_on(few: Ground) -> None:
    told: list[str] = []
    openings = {"gone": cannot_be_opened, "bot": opening("bot", Counting(), [])}
    chosen = {"broken": breaks, "language": LANGUAGE}
    report = run(few, openings, chosen, told=told.append)
    assert {section.notes for section in report.systems["gone"].values()} == {
        ("there is no model: run  sususbot models",)
    }
    assert report.systems["bot"]["broken"].notes == ("the engine broke: start again",)
    assert "bits_per_byte" in report.systems["bot"]["language"].figures
    assert report.failures == {
        "gone": dict.fromkeys(chosen, "there is no model: run  sususbot models"),
        "bot": {"broken": "the engine broke: start again"},
    }
    assert told == [
        "gone was not measured: there is no model: run  sususbot models",
        "bot: broken was not measured: the engine broke: start again",
    ]


def test_what_a_backend_cannot_tell_is_no_failure_and_a_finished_system_is_not_lost(few: Ground) -> None:
    def cannot(*_: object) -> Section:
        raise CannotScore("it does not tell")

    kept: list[Report] = []
    openings = {name: opening(name, Counting(), []) for name in ("a", "b")}
    report = run(few, openings, {"cannot": cannot}, speak=None, finished=kept.append)
    assert report.failures == {}
    assert report.systems["a"]["cannot"].notes == ("it does not tell",)
    assert [list(one.systems) for one in kept] == [["a"]]


def test_a_bug_is_not_swallowed(few: Ground) -> None:
    def wrong(*_: object) -> Section:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(few, {"bot": opening("bot", Scripted(["hm"]), [])}, {"wrong": wrong})


def test_progress_counts_every_step_once(few: Ground) -> None:
    steps: list[tuple[int, int]] = []
    openings = {name: opening(name, Scripted(["hm"]), []) for name in ("a", "b")}

    def quiet(_system: System, _ground: Ground, _replies: Replies, told: Told) -> Section:
        told("half")
        return Section("quiet")

    run(few, openings, {"quiet": quiet}, speak=None, progress=lambda done, of, _: steps.append((done, of)))
    assert steps == [(0, 6), (1, 6), (2, 6), (2, 6), (3, 6), (4, 6), (5, 6), (5, 6)]


def test_only_who_may_be_quoted_is_shown(tmp_path: Path) -> None:
    with ground_of(tmp_path, limit=40) as ground:
        ground.archive.consents.say(LEO.id, by="member", way="told", at=1, quote=False)
        report = run(ground, {"bot": opening("bot", Scripted(["hm"]), [])}, {}, speak=replies)
    names = {line.name for example in report.examples for line in (*example.before, example.reply)}
    assert MIA.display_name in names
    assert LEO.display_name not in names


def test_replies_are_made_only_where_a_measure_reads_them() -> None:
    assert measures.speaking(["language", "facts"]) is None
    assert measures.speaking(["language", "voice"]) is replies
    assert list(measures.chosen(["voice", "relevance"], measures.Given())) == ["relevance", "voice"]
