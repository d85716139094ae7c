"""Who answers whom: the shipped linker on annotated logs, in small talks, and learning from a server's own replies."""

from pathlib import Path

import numpy as np
import pytest

from sususbot.archive.archive import Archive
from sususbot.artifacts import LINKER
from sususbot.benchmarks.linking import bench_links
from sususbot.errors import LinkerUnfit, TooFewReplies
from sususbot.forgetting import Forgetting, Gone
from sususbot.linking.line import Line
from sususbot.linking.linker import Linker, relevance
from sususbot.linking.network import Network, shipped
from sususbot.memory import own_links
from sususbot.memory.own_links import fit_links, network_of, teachers
from sususbot.messages import Author, Channel, Guild, Message
from tests.corpus.talk import DATA

DEV = DATA / "irc" / "dev.jsonl.gz"
MINUTE = 60_000
SAID = [
    Line(1, 1, "mia", 0, "how do I boil an egg?"),
    Line(2, 2, "ana", 0, "anyone for chess?"),
    Line(3, 3, "tom", MINUTE, "mia: eight minutes"),
    Line(4, 1, "mia", MINUTE, "tom: thanks"),
]


@pytest.mark.skipif(not DEV.is_file(), reason=f"the annotated logs are not at {DEV}")
def test_the_shipped_linker_reaches_its_goals_and_beats_the_rules() -> None:
    result = bench_links([DEV])
    found = {key: value or 0.0 for key, value in result.metrics.items()}
    assert found["link_f1"] >= 0.735 > found["rules_link_f1"]
    assert found["antecedent_at_5"] >= 0.95 > found["last_five_antecedent_at_5"]
    assert found["last_message_link_f1"] == pytest.approx(0.302, abs=0.001)
    assert found["model_kb"] <= 300


def test_names_tell_two_talks_apart() -> None:
    linker = Linker()
    assert [linker.link(line).target for line in SAID][2:] == [1, 3]


def test_a_reply_of_discord_always_wins() -> None:
    linker = Linker()
    for line in SAID:
        linker.link(line)
    assert linker.link(Line(5, 1, "mia", 2 * MINUTE, "tom: me", reply_to=2)).target == 2


def test_a_system_line_answers_nothing() -> None:
    assert Linker().link(Line(1, 0, "", 0, "=== tom has joined", system=True)).target is None


def test_relevance_is_highest_for_what_is_answered() -> None:
    weights = relevance(SAID[:3], SAID[3])
    assert max(range(3), key=lambda place: weights[place]) == 2
    assert all(0 <= weight <= 1 for weight in weights)


def test_a_network_comes_back_from_its_file(tmp_path: Path) -> None:
    shipped().save(tmp_path / LINKER)
    network, name = network_of(tmp_path)
    assert name != network_of(tmp_path / "elsewhere")[1] or network.common == shipped().common
    assert [Linker(network).link(line).target for line in SAID] == [Linker().link(line).target for line in SAID]


def test_what_is_no_linker_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"no")
    with pytest.raises(LinkerUnfit):
        Network.load(tmp_path / "x.npz")


def test_too_few_replies_are_said_in_one_sentence(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive, pytest.raises(TooFewReplies, match="0 replies"):
        fit_links(archive, tmp_path)


def test_an_own_linker_says_who_taught_it(tmp_path: Path) -> None:
    assert teachers(tmp_path) == frozenset()
    own_links._keep(shipped(), tmp_path / LINKER, {3, 1 << 62})
    assert teachers(tmp_path) == frozenset({3, 1 << 62})
    assert network_of(tmp_path)[0].common == shipped().common
    for unsaid in (b"", b"no linker"):
        (tmp_path / LINKER).write_bytes(unsaid)
        assert teachers(tmp_path) is None


def test_a_linker_that_cannot_be_read_for_now_says_nothing_of_its_teachers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows another program may be writing it; a disk fails and comes back."""
    own_links._keep(shipped(), tmp_path / LINKER, {3})

    def in_use(*_: object, **__: object) -> None:
        raise PermissionError(13, "in use")

    with monkeypatch.context() as during, Archive(tmp_path) as archive:
        during.setattr(np, "load", in_use)
        assert Forgetting(archive, tmp_path).drop_linker() == Gone()
    whole = (tmp_path / LINKER).read_bytes()
    at = whole.index(b"teachers.npy") + 40
    for broken in (whole[: len(whole) // 2], whole[:at] + b"\xff" * 20 + whole[at + 20 :]):
        (tmp_path / LINKER).write_bytes(broken)
        assert teachers(tmp_path) is None


def test_a_linker_that_proves_no_better_is_not_used(tmp_path: Path) -> None:
    """Everybody always replies to what was said five lines before: a few lines do not teach that.

    What a member says who may not be learned from teaches nothing.
    """
    who = [Author(number, f"m{number}", f"m{number}") for number in range(1, 8)]
    said = [
        Message(
            place + 1,
            20,
            who[place % 7],
            place * MINUTE // 4,
            f"words of {place}",
            f"words of {place}",
            type=19 if place > 5 else 0,
            reply_to=place - 4 if place > 5 else None,
            mentions=(who[(place - 5) % 7].id,) if place > 5 else (),
        )
        for place in range(700)
    ]
    refusing = Author(99, "m99", "m99")
    said += [Message(900 + place, 20, refusing, 400 * MINUTE, "hm", "hm", type=19, reply_to=1) for place in range(9)]
    with Archive(tmp_path) as archive:
        archive.add_channel(Guild(10, "x"), Channel(20, 10, "y"), origin="export", seen_at=1)
        archive.add(said, source=archive.add_source("export", "t"), fetched_at=1)
        archive.consents.say(refusing.id, by="member", way="x", at=1, learn=False)
        fitted = fit_links(archive, tmp_path, lambda _line: None)
    assert (fitted.replies, fitted.used) == (694, False)
    assert not (tmp_path / LINKER).exists()
