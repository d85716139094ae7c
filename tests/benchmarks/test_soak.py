"""The soak in small, and that its accounts catch what it looks for."""

from dataclasses import replace
from pathlib import Path

import pytest

from sususbot.benchmarks.soak import soak
from sususbot.benchmarks.soak_account import Account, tag
from sususbot.benchmarks.soak_faults import Climate
from sususbot.benchmarks.soak_plan import as_result, quick
from tests.support import tiny_gguf

MIA, BEN = 1, 2


def asked(*mentions: tuple[int, int, str]) -> Account:
    """Mentions as (id, member, word), a second apart."""
    account = Account()
    for at, (id_, member, word) in enumerate(mentions):
        account.ask(id_, member, word, at=float(at))
    return account


def test_a_mention_is_answered_or_signed_or_lost() -> None:
    account = asked((1, MIA, "zqa"), (2, BEN, "zqb"), (3, MIA, "zqc"))
    account.say(1, "zqa tea", "1-0", at=1.0)
    account.sign(2, "⏳", at=4.0)
    account.settle([], at=5.0)
    assert account.lost() == [3]
    assert account.ends == {"answered": 1, "signed": 1}
    assert account.twice == account.unasked == []
    assert len(account) == 1


def test_a_second_reply_is_caught_whatever_it_says() -> None:
    account = asked((1, MIA, "zqa"))
    account.say(1, "zqa tea", "1-0", at=1.0)
    account.say(1, "something else", None, at=2.0)
    assert account.twice == [1]


def test_a_part_that_comes_again_is_caught_though_it_points_at_nothing() -> None:
    account = asked((1, MIA, "zqa"))
    account.say(1, "zqa tea", "1-0", at=1.0)
    account.say(None, "and more", "1-1", at=1.0)
    assert account.twice == []
    account.say(None, "and more", "1-1", at=2.0)
    assert account.twice == [1]


def test_a_reply_takes_in_the_lines_that_it_names() -> None:
    account = asked((1, MIA, "zqa"), (2, BEN, "zqb"), (3, MIA, "zqc"), (4, MIA, "zqd"))
    account.say(4, "zqa zqd zqb", "4-0", at=4.0)
    assert account.ends == {"answered": 1, "merged": 1}
    # Not named; and nobody is answered in a reply to somebody else.
    assert account.lost() == [2, 3]


def test_a_line_that_was_answered_together_and_then_by_itself_is_answered_twice() -> None:
    account = asked((1, MIA, "zqa"), (2, MIA, "zqb"))
    account.say(2, "zqa zqb", "2-0", at=4.0)
    account.say(1, "zqa", "1-0", at=5.0)
    assert account.twice == [1]


def test_a_sign_excuses_quick_lines_if_the_record_knows_of_it() -> None:
    account = asked((1, MIA, "zqa"), (2, MIA, "zqb"), (3, MIA, "zqc"))
    account.sign(3, "⏳", at=4.0)
    assert len(account) == 0
    account.settle([1], at=5.0)
    assert account.lost() == [2]
    assert account.ends == {"signed": 1, "merged": 1}


def test_what_was_excused_may_still_be_answered_by_itself() -> None:
    account = asked((1, MIA, "zqa"), (2, MIA, "zqb"))
    account.sign(2, "⏳", at=3.0)
    account.say(1, "zqa", "1-0", at=4.0)
    account.settle([], at=5.0)
    assert account.lost() == account.twice == []


def test_nothing_excuses_what_was_asked_long_before_or_by_somebody_else() -> None:
    account = asked((1, MIA, "zqa"), (2, BEN, "zqb"))
    account.ask(3, MIA, "zqc", at=60.0)
    account.sign(3, "⏳", at=61.0)
    account.settle([1, 2], at=62.0)
    assert account.lost() == [1, 2]


def test_a_bare_mention_goes_with_the_question_after_it() -> None:
    account = asked((1, MIA, ""), (2, MIA, "zqb"))
    account.say(2, "zqb", "2-0", at=2.0)
    account.settle([1], at=3.0)
    assert account.lost() == []
    assert account.unexplained == 0


def test_a_reply_that_may_not_point_at_its_mention_is_one_all_the_same() -> None:
    account = asked((1, MIA, "zqa"))
    account.say(None, "zqa", "1-0", at=2.0)
    assert account.ends == {"answered": 1}


def test_deleted_mentions_are_owed_nothing_and_strangers_are_caught() -> None:
    account = asked((1, MIA, "zqa"))
    account.delete(1, at=1.0)
    account.say(1, "zqa", "1-0", at=2.0)
    account.say(7, "who asked?", "7-0", at=2.0)
    account.sign(8, "⏳", at=2.0)
    assert account.lost() == account.twice == []
    assert account.unasked == [7, 8]


def test_words_of_mentions_differ_for_as_long_as_they_wait() -> None:
    assert len({tag(number) for number in range(400)}) == 400
    assert tag(400) == tag(0)


def test_every_request_can_go_wrong_in_every_way_that_befalls_it() -> None:
    climate = Climate(0.02, seed=1)
    for _ in range(10_000):
        climate.strike("POST", "/channels/1/messages")
    posting = set(climate.struck)
    assert {"http status 500", "http status 500 after", "http status 50013", "http cloudflare 429"} <= posting
    assert {"http reset", "http reset after", "http truncated 200", "http html 200", "http slow 200"} <= posting
    climate = Climate(0.02, seed=1)
    for _ in range(10_000):
        climate.strike("PUT", "/channels/1/messages/2/reactions/x/@me")
    assert climate.struck["http status 500"] > 0
    assert climate.struck["http status 50013"] == 0


# Beside other tests on two cores: the bars of time and memory are the benchmark's, here is only what must never be.
@pytest.mark.parametrize("seed", [0])
async def test_nothing_is_lost_or_answered_twice_whatever_goes_wrong(tmp_path: Path, seed: int) -> None:
    engine = tiny_gguf.write_model(tmp_path / "tiny.gguf")
    plan = replace(quick(mentions=600, restarts=4, seed=seed), engine=engine)
    found = await soak(plan, tmp_path)
    metrics = as_result(plan, found).metrics
    assert found.account.twice == []
    assert found.lost == []
    assert found.ended == []
    assert metrics["mentions"] >= 600
    assert metrics["answered"] + metrics["merged"] + metrics["signed"] + metrics["deleted"] == metrics["mentions"]
    assert metrics["answered"] > 0
    assert metrics["restarts"] == 4
    assert metrics["disasters"] > 5
    assert metrics["request_faults"] > 5
    assert [metrics[key] for key in ("unasked", "forbidden", "pinged", "orphans")] == [0, 0, 0, 0]
    assert metrics["identifies"] <= metrics["identifies_budget"]
    assert metrics["loop_lag_p99_ms"] > 0
    if metrics["rss_growth"] is not None:
        assert metrics["rss_growth"] < 1.5
