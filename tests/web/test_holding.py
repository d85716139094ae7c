"""What the pages Memory and Data show, as values: no browser, no server."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from sususbot import env_file
from sususbot.analysis.analysis import Analysis
from sususbot.analysis.consent import members
from sususbot.archive.archive import Archive
from sususbot.archive.browsing import Wanted
from sususbot.errors import SettingsError
from sususbot.memory.indexing import index
from tests.archive.making import GARDEN, KITCHEN, MIA, NOON, SUSU, TOM, filled, message
from tests.memory.chat import WordEmbedder

pytest.importorskip("nicegui")

from sususbot.web import consent, gists, holding, leafing, remembered, rules
from sususbot.web.counting import Counting, stamp_of

DAY_MS = 86_400_000


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    archive = Archive(tmp_path)
    talk = [message(n, f"tea number {n}", (MIA, TOM)[n % 2], channel=(KITCHEN, GARDEN)[n > 50]) for n in range(1, 61)]
    filled(archive, *talk, message(70, "beep", SUSU))
    return archive


def test_each_reason_has_its_count_and_what_follows(archive: Archive) -> None:
    with archive:
        settings = env_file.checked({"retention_days": "30", "channel_id": str(KITCHEN.id)})
        index(archive, WordEmbedder())
        filled(archive, message(2, "tea, again", MIA, edited_at=NOON + 5), fetched_at=NOON + 9)
        archive.consents.say(TOM.id, by="member", way="slash", at=NOON, remember=False)
        rows = {row.what: row for row in holding.held(archive, settings, now=NOON + 24 * DAY_MS)}
        assert rows["May be remembered"].count == 30
        assert (rows["Not embedded yet"].count, rows["Not embedded yet"].waits) == (1, True)
        assert "1 of them were edited" in rows["Not embedded yet"].why
        assert (rows["Said no"].count, "1 member said no" in rows["Said no"].why) == (30, True)
        assert "Tom" not in "".join(row.why for row in rows.values())
        assert rows["Of bots"].count == 1
        assert rows["Past their time soon"].count == 61
        assert rows["Not for every reader"].count == 5
        assert not any(row.waits for row in holding.held(archive, env_file.checked({}), now=NOON)[4:])


def test_a_leaf_knows_its_neighbours(archive: Archive) -> None:
    with archive:
        first = leafing.leaf(archive, Wanted())
        assert [one.message.id for one in first.seen] == list(range(60, 40, -1))
        assert (first.count, first.older, first.newer) == (60, True, False)
        last = leafing.leaf(archive, Wanted(), before=21)
        assert (len(last.seen), last.older, last.newer) == (20, False, True)
        assert leafing.leaf(archive, Wanted(), after=40).seen == first.seen
        assert leafing.leaf(archive, Wanted(author_id=99)).seen == ()


@pytest.mark.parametrize(
    ("text", "days", "expected"),
    [
        ("2024-03-31", 0, 1_711_839_600_000),
        ("2024-03-31", 1, 1_711_922_400_000),
        ("", 0, None),
        ("2024-13-01", 0, None),
    ],
)
def test_a_day_begins_by_the_clock_of_its_zone(text: str, days: int, expected: int | None) -> None:
    """On 31 March 2024 Berlin's clocks went forward: that day has 23 hours."""
    assert leafing.day_begin(text, "Europe/Berlin", days=days) == expected


def test_what_a_message_drew_is_told_apart(archive: Archive) -> None:
    with archive:
        filled(archive, message(80, "yes", TOM, reply_to=4, pinned=True), message(81, "no", MIA, reply_to=4))
        archive.lore.pin(4, at=NOON)
        asked, answer = remembered.look_up(archive, [4, 80])
        assert (asked.drew, asked.lore, answer.drew, answer.lore) == ("2 replies", True, "pinned on Discord", False)
        archive.consents.say(TOM.id, by="member", way="slash", at=NOON, remember=False)
        assert [one.message.id for one in remembered.look_up(archive, [80, 4])] == [4]


def test_a_gist_says_who_made_it_and_what_is_gone(archive: Archive) -> None:
    with archive:
        archive.summaries.cut(KITCHEN.id, [10, 15, 20], kept=6)
        older, newer = archive.summaries.spans(KITCHEN.id)
        said = [(one.id, one.rendered) for one in archive.messages(range(11, 16)).values()]
        archive.summaries.put(older.id, "about tea", "bart", said)
        second, first = gists.gists(archive, KITCHEN.id, summarizer="bart")
        assert (first.text, first.by, first.messages, first.stale) == ("about tea", "BART", 5, False)
        assert (second.text, second.last_at) == (None, NOON + 20_000)
        archive.summaries.put(newer.id, "of less than there is", "chat", [(16, "tea number 16")])
        assert gists.gists(archive, KITCHEN.id, summarizer="bart")[0].stale
        archive.delete([12, 16], at=NOON)
        assert [one.text for one in gists.gists(archive, KITCHEN.id, summarizer="bart")] == [None, None]


def test_members_are_found_by_name_id_and_what_they_said(archive: Archive) -> None:
    with archive:
        archive.consents.say(TOM.id, by="owner", way="asked", at=NOON, quote=False)
        archive.erase(MIA.id, at=NOON + 1)
        rows = members(archive)
        assert [row.id for row in rows] == [TOM.id, MIA.id]
        for text, state, expected in (
            ("", "all", [TOM.id, MIA.id]), ("@TO", "all", [TOM.id]), ("2", "all", [TOM.id]), ("x", "all", []),
            ("", "no", [TOM.id]), ("", "silent", []), ("", "forgotten", [MIA.id]), ("", "refused", []),
        ):  # fmt: skip
            assert [row.id for row in consent.matching(rows, text, state)] == expected, (text, state)


def test_a_rule_that_is_none_or_needed_is_not_written(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    rules.switch(env, {"links", "emotes"})
    assert env.read_text(encoding="utf-8") == "CLEAN_OFF=emotes,links\n"
    for name in ("bots", "nonsense"):
        with pytest.raises(SettingsError):
            rules.switch(env, {name})
    rules.switch(env, set())
    assert env_file.load(env).clean_off == ()


async def test_an_analysis_is_kept_until_something_changes(archive: Archive, tmp_path: Path) -> None:
    made: list[Analysis] = []
    counting = Counting()

    def analyze(progress: Callable[[int, int], None]) -> Analysis:
        progress(1, 4)
        assert counting.done == 0.25
        # Whatever it is, it is handed on.
        made.append(cast(Analysis, object()))
        return made[-1]

    with archive:
        before = stamp_of(archive, tmp_path / ".env")
        first = await counting.of(before, analyze)
        assert await counting.of(stamp_of(archive, tmp_path / ".env"), analyze) is first
        assert len(made) == 1
        assert counting.kept(before) is first is made[0]
        assert counting.kept("another") is None
        changes = (
            lambda: filled(archive, message(2, "tea!", MIA, edited_at=NOON + 5), fetched_at=NOON + 9),
            lambda: archive.delete([3], at=NOON),
            lambda: archive.consents.say(TOM.id, by="member", way="slash", at=NOON, learn=False),
            lambda: (tmp_path / ".env").write_text("SEED=1\n", encoding="utf-8"),
        )
        stamps = [before]
        for change in changes:
            change()
            stamps.append(stamp_of(archive, tmp_path / ".env"))
        assert len(set(stamps)) == len(stamps)
