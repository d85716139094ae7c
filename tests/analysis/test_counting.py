"""How an analysis counts where the tea house has no such case: rare words, emoji, floods, units, long talk."""

from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest

from sususbot.analysis.activity import Clock
from sususbot.analysis.emoji import EmojiCount
from sususbot.analysis.keywords import WordCount
from sususbot.analysis.lengths import Samples
from sususbot.analysis.repetition import SpamCount
from sususbot.analysis.statistics import analyze
from sususbot.archive.archive import Archive
from sususbot.corpus.build import build
from sususbot.corpus.recipe import Recipe
from sususbot.corpus.tokens import Estimate
from sususbot.errors import ArchiveEmpty, SettingsError
from sususbot.sources.ingest import ingest
from tests.analysis import teahouse
from tests.analysis.teahouse import KITCHEN, MIA, START, TOM
from tests.support.kettle import small_exports


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("👩‍👩‍👧 one family, 🇩🇪🇫🇷 two flags, 1️⃣ a key", ["👩\u200d👩\u200d👧", "🇩🇪", "🇫🇷", "1\u20e3"]),
        ("❤️ and ❤ are one, 👍🏽 is another than 👍", ["❤", "❤", "👍🏽", "👍"]),
        ("signs are none: ⏎ ➤ ✔ ➁ → ™ ▪ 12:30:45 std::vector::iterator", []),
        ("a:b:c http://x:80:tea", []),
        (":tea: <a:pot:1234> <:pot:1234>:+1:", ["tea", "pot", "pot", "+1"]),
    ],
)
def test_what_an_emoji_is(text: str, found: list[str]) -> None:
    count = EmojiCount()
    count.add(text)
    seen = count.result()
    assert sorted(one.name for one in (*seen.unicode, *seen.custom) for _ in range(one.count)) == sorted(found)
    assert (seen.total, seen.messages) == (len(found), int(bool(found)))


def test_counting_words_lets_rare_ones_go_rather_than_grow() -> None:
    count = WordCount(most=40)
    for number in range(200):
        letters = "".join(chr(ord("a") + int(digit)) for digit in f"{number:03}")
        count.add(number % 2, f"teapot kettle {letters}")
    seen = count.result({0: "Mia", 1: "Tom"})
    assert seen.dropped > 100
    assert {row.author: row.words for row in seen.rows} == {"Mia": 300, "Tom": 300}
    assert all(row.vocabulary < 60 for row in seen.rows)


def test_examples_show_the_place_that_changes(tmp_path: Path) -> None:
    house = teahouse.Teahouse()
    house.say(0, MIA, f"{'tea ' * 100}and then https://example.org/{'x' * 300} again")
    with teahouse.filled(tmp_path, house.messages) as archive:
        rules = {rule.name: rule for rule in analyze(archive, Clock("UTC"), Estimate()).cleaning.rules}
    (example,) = rules["links"].examples
    assert "and then https://example.org/xxx" in example.before
    assert example.after.endswith("and then [link] again")


def test_an_epoch_is_what_a_corpus_then_has(tmp_path: Path) -> None:
    """Names are exact here and a flat five tokens there; a run of one member is one turn there."""
    recipe = Recipe(own_name="susu", persona_text="This is the tea house.", valid_share=0)
    with Archive(tmp_path) as archive:
        for path in small_exports():
            ingest(archive, path)
        files = build(archive, tmp_path / "corpora" / "x", recipe, Estimate(), lambda _: None).corpus.manifest["files"]
        seen = analyze(archive, Clock("UTC"), Estimate(), header=recipe.persona_text)
    assert seen.training.tokens_per_epoch == pytest.approx(sum(one["tokens"] for one in files.values()), rel=0.1)


def test_a_long_conversation_is_several_samples_each_with_its_header() -> None:
    samples = Samples(tokens=1000, header=100)
    assert samples.of(900) == 1000
    assert samples.of(901) == 901 + 2 * 100
    assert samples.of(6750) == 6750 + 10 * 100


def test_an_empty_archive_and_a_wrong_zone_are_told_plainly(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive, pytest.raises(ArchiveEmpty):
        analyze(archive, Clock("UTC"), Estimate())
    with pytest.raises(SettingsError, match="Europe/Berlin"):
        Clock("Mars/Olympus")
    with pytest.raises(SettingsError):
        Clock("../../etc/passwd")


@pytest.mark.parametrize(("days", "unit"), [(92, "day"), (93, "week"), (730, "week"), (731, "month")])
def test_the_unit_follows_the_span(tmp_path: Path, days: int, unit: str) -> None:
    house = teahouse.Teahouse()
    for at in (0, days - 1):
        house.say(at * teahouse.DAY, MIA, f"day {at}")
    with Archive(tmp_path) as archive:
        archive.add_channel(teahouse.GUILD, KITCHEN, origin="export", seen_at=START)
        archive.add(house.messages, source=archive.add_source("export", "x.json"), fetched_at=START)
        volume = analyze(archive, Clock("UTC"), Estimate()).volume
    assert volume.unit == unit
    assert sum(period.messages for period in volume.periods) == 2
    assert len({period.start for period in volume.periods}) == len(volume.periods)
    assert volume.periods[0].messages == volume.periods[-1].messages == 1


def test_a_row_of_links_is_read_at_once() -> None:
    spam = SpamCount()
    texts = ("http://" * 500 + " x", "http://a.example <https://b.example/c>\n", "http://a.example x")
    for number, text in enumerate(texts):
        spam.add(replace(teahouse.messages()[0], id=number, rendered=text))
    assert spam.result().only_links == 1


def test_runs_of_one_author_are_floods_only_when_fast(tmp_path: Path) -> None:
    house = teahouse.Teahouse()
    for author, seconds in ((MIA, 2.0), (TOM, 0.5), (MIA, 0.9)):
        start = len(house.messages)
        for number in range(12):
            house.say(start + number * seconds / 60, author, f"{author.name} {number}")
    runs = [list(group) for _, group in groupby(house.messages, key=lambda message: message.author.id)]
    assert len(runs) == 3
    with Archive(tmp_path) as archive:
        archive.add_channel(teahouse.GUILD, KITCHEN, origin="export", seen_at=START)
        archive.add(house.messages, source=archive.add_source("export", "x.json"), fetched_at=START)
        spam = analyze(archive, Clock("UTC"), Estimate()).spam
    # Twelve within 5.5 s, and twelve within 9.9 s of which any six are within 5 s.
    assert (spam.floods, spam.flood_messages) == (2, 24)
