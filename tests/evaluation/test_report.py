"""A report in words and as a page: what an owner reads, and that nobody's words are more than text in it."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from sususbot.evaluation import report as words
from sususbot.evaluation.charts import pictures
from sususbot.evaluation.evaluation import Example, Report, Spoken
from sususbot.evaluation.figures import Figure, Section, count, share
from sususbot.evaluation.findings import findings
from sususbot.evaluation.page import page
from tests.evaluation.reports import hits, report_of, section

EVIL = '<script>alert("1")</script> & <img src=http://evil.example/x>'


def made() -> Report:
    bot = {
        "relevance": Section("relevance", {"accuracy": share(25, 40, "higher")}, {"accuracy": hits(25)}),
        "language": Section("language", {"bits_per_byte": Figure(2.1, 2.0, 2.2, 40, "lower")}),
        "voice": Section(
            "voice",
            {
                "attributed": share(30, 40, "higher"),
                "ceiling": share(36, 40, None),
                "floor": share(4, 40, None),
                "style_length": Figure(0.2, 0.1, 0.3, 40, "lower"),
                "style_length_own": Figure(0.1, 0.05, 0.15, 40),
            },
        ),
        "context": Section("context", {"bits_saved_by_all": Figure(0.3, 0.2, 0.4, 40, "higher")}),
        "cost": Section(
            "cost",
            {
                "reply_ms_p50": Figure(1234.0, 1100.0, 1300.0, 30, "lower"),
                "reply_ms_p95": Figure(2500.0, better="lower"),
            },
            notes=("times are of this machine and hour",),
        ),
    }
    base = {
        "relevance": Section("relevance", {"accuracy": share(10, 40, "higher")}, {"accuracy": hits(10)}),
        "language": Section("language", {"bits_per_byte": Figure(2.4, 2.3, 2.5, 40, "lower")}),
        "voice": Section("voice", notes=(EVIL,)),
        "context": Section("context"),
        "cost": Section("cost", {"reply_ms_p50": Figure(900.0, 890.0, 1010.0, 30, "lower")}),
    }
    said = Example((Spoken("Mia", EVIL),), Spoken(EVIL, EVIL), {"bot": EVIL, "base": ""})
    return report_of({"bot": bot, "base": base}, examples=(said,))


def test_what_an_owner_should_know_first() -> None:
    sentences = findings(made())
    assert sentences[0] == (
        "Of ten replies that were really given, one of them here, bot finds the right one in 62 % (47–76) of cases; "
        "chance is 10 %; base 25 %."
    )
    assert "its base 2.40: 12 % less, so it learned how you talk" in sentences[1]
    assert "75 % (60–86) of its replies for yours; of what was really said it takes 90 %" in sentences[2]
    assert sentences[-1].startswith("Half of its replies take at most 1.2 s (1.1–1.3), 19 of 20 at most 2.5 s")


def test_a_bot_that_is_its_base_learned_nothing_else_and_nothing_is_said_of_it() -> None:
    made_of = {"backend": "llamacpp", "model": "m", "adapter": None}
    same = replace(made(), settings={"systems": {"bot": made_of, "base": made_of}})
    assert not any("learned" in sentence for sentence in findings(same))


def test_a_classifier_that_cannot_tell_voices_apart_says_so() -> None:
    figures = {
        "attributed": share(30, 40, "higher"),
        "can_tell": Figure(0.0),
        "classifier_accuracy": share(21, 40, None),
    }
    (one,) = findings(report_of({"bot": {"voice": Section("voice", figures)}}))
    assert one.startswith("The classifier cannot tell your voice from other chat here (it is right in 52 %")


def test_what_was_looked_for_stands_beside_what_was_found() -> None:
    def told(names: float, backend: str = "llamacpp") -> str:
        sought = {"looked_for": Figure(names), "looked_for_names": Figure(names), "looked_for_contacts": Figure(0.0)}
        figures = {"leaks": count(0, 40, "lower"), "copies": share(2, 40, "lower"), **sought}
        made_of = {"systems": {"bot": {"backend": backend}}}
        (one,) = findings(report_of({"bot": {"leakage": Section("leakage", figures)}}, settings=made_of))
        return one

    assert "(looked for: 3 names and 0 contacts)" in told(3)
    assert told(0).startswith("There was nothing to look for")
    assert "lines it learned" in told(3)
    assert "lines it learned" not in told(3, "recall")


def test_nothing_measured_says_nothing() -> None:
    assert findings(report_of({"bot": {"relevance": Section("relevance", notes=("why",))}})) == []


@pytest.mark.parametrize(
    ("figure", "form", "text"),
    [
        (share(25, 40, None), "percent", "62 % (47–76)"),
        (Figure(0.123, -0.01, 0.2), "signed", "+0.123 (-0.010 to +0.200)"),
        (Figure(950.0, 900.0, 1100.0), "ms", "950 ms (900 ms–1.1 s)"),
        (Figure(0.125, 0.1, 0.15), "points", "+12.5 points (+10.0 to +15.0)"),
        (Figure(2.0, 1.0, 3.0), "count", "2 (1–3)"),
        (Figure(1500.0), "mb", "1.5 GB"),
        (Figure(float("nan")), "percent", "–"),
    ],
)
def test_how_figures_are_written(figure: Figure, form: str, text: str) -> None:
    assert words.told(figure, form) == text


def test_the_best_of_a_line_is_marked_and_only_where_there_is_one() -> None:
    rows = {f"{row.section}.{row.name}": row for some in words.rows(made()).values() for row in some}
    best = {name: [cell is not None and cell.best for cell in row.cells] for name, row in rows.items()}
    assert best["relevance.accuracy"] == [True, False]
    assert best["language.bits_per_byte"] == [True, False]
    assert best["cost.reply_ms_p50"] == [False, True]
    assert best["voice.attributed"] == [False, False]
    assert rows["voice.attributed"].cells[1] is None
    same = report_of({name: {"x": section("x", a=hits(30))} for name in ("bot", "base")})
    assert [cell and cell.best for cell in words.rows(same)["x"][0].cells] == [False, False]


def test_a_figure_without_words_of_its_own_is_called_by_its_name() -> None:
    assert words.label("x", "some_new_thing") == words.Label("some new thing")
    assert words.label("context", "accuracy_without_recent").form == "percent"


@pytest.fixture(scope="module")
def text() -> str:
    return page(made())


class _Parsed(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "data", "poster")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_loads_nothing_and_words_are_words(text: str) -> None:
    parsed = _Parsed(text)
    assert not {"script", "img", "link", "iframe", "object", "form"} & set(parsed.tags)
    assert all(address.startswith("#") for address in parsed.addresses)
    assert parsed.words.count(EVIL) == 5
    assert "default-src 'none'" in text
    assert not re.search(r"url\(|@import|\son\w+=", text)


def test_the_page_has_a_picture_for_each_that_was_measured_and_always_the_same(text: str) -> None:
    drawn = pictures(made())
    assert set(drawn) == {"relevance", "language", "voice", "style", "context", "cost"}
    assert "your own lines 90 %" in drawn["voice"].alt
    assert 'data-mark="relevance.accuracy.base"' in drawn["relevance"].wide
    for one in drawn.values():
        assert one.wide in text
        assert one.narrow in text
    assert set(pictures(report_of({"bot": {"relevance": Section("relevance")}}))) == set()
