"""Of whom an analysis shows what: nothing of who refused, no name of the erased, no quote of others; in any order."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from sususbot.analysis.activity import Clock
from sususbot.analysis.statistics import analyze
from sususbot.archive.archive import Archive
from sususbot.corpus.clean import ALL
from sususbot.corpus.tokens import Estimate
from tests.analysis import teahouse
from tests.analysis.teahouse import MIA, SCRIPT, START, TOM, ZED
from tests.support.consents import refuse


@pytest.mark.parametrize("mode", ["opt-out", "opt-in"])
def test_nothing_of_who_refused_is_shown(tmp_path: Path, mode: Any) -> None:
    teahouse.built(tmp_path).close()
    with Archive(tmp_path) as archive:
        archive.consents.set_mode(mode)
        text = orjson.dumps(analyze(archive, Clock("UTC"), Estimate())).decode()
    for word in ("Zed", "Zorro", "zorro", "zebra", "zigzag", "zedaccount", "zedmoji", "🦓"):
        assert word not in text
    # Kim is named, but not quoted.
    for word in ("kimono", "kimchi", "kiosk"):
        assert word not in text
    assert ("Kim" in text) is (mode == "opt-out")
    assert ("someone and someone won, who else" in text) is (mode == "opt-out")


def test_names_of_who_refused_are_hidden_also_when_their_words_are_gone_and_the_names_of_old(tmp_path: Path) -> None:
    before = replace(ZED, display_name="Zadok")
    house = teahouse.Teahouse()
    house.say(0, before, "zebra")
    house.say(1, ZED, "zigzag")
    for minute, text in ((2, "@Zadok and @Zed Zorro said https://example.org/ok"), (3, "!ask @Zadok"), (4, "@Zadok")):
        house.say(minute, MIA, text, reactions=(("👍", 2),))
    with teahouse.filled(tmp_path, house.messages) as archive:
        refuse(archive, ZED)
        archive.erasure.begin(ZED.id, at=START, may_return=True)
        archive.erasure.carry_out(ZED.id)
        text = orjson.dumps(analyze(archive, Clock("UTC"), Estimate())).decode()
    assert "@someone and @someone said" in text
    assert not [name for name in ("Zadok", "Zed", "Zorro") if name in text]


@pytest.mark.parametrize("rules", [ALL, ALL - {"quotes"}])
def test_what_members_quote_of_others_is_not_shown(tmp_path: Path, rules: Any) -> None:
    house = teahouse.Teahouse()
    for minute in range(3):
        house.say(minute, TOM, "> kimono kimchi kiosk\nso it says here, does it not", reactions=(("👍", 2),))
    house.say(5, TOM, "!say\n> kimono kimchi kiosk")
    with teahouse.filled(tmp_path, house.messages) as archive:
        text = orjson.dumps(analyze(archive, Clock("UTC"), Estimate(), rules=rules)).decode()
    assert "[quote] ⏎ so it says here" in text
    assert "kimono" not in text


def test_silence_is_a_no_in_opt_in(tmp_path: Path) -> None:
    teahouse.built(tmp_path).close()
    with Archive(tmp_path) as archive:
        archive.consents.set_mode("opt-in")
        archive.consents.say(TOM.id, by="member", way="command", at=START, learn=True, remember=True, quote=True)
        seen = analyze(archive, Clock("UTC"), Estimate())
    assert [row.name for row in seen.authors.rows] == ["Tom"]
    assert seen.authors.refused.members == 7
    assert seen.answers.pairs == ()
    assert {quote.author for quote in seen.reactions.favourites} == {"Tom"}
    assert seen.training.tokens_per_epoch == 0


def test_an_erased_member_is_gone(tmp_path: Path) -> None:
    with teahouse.built(tmp_path) as archive:
        before = analyze(archive, Clock("UTC"), Estimate())
        archive.erase(SCRIPT.id, at=START)
        after = analyze(archive, Clock("UTC"), Estimate())
    assert after.overview.written == before.overview.written - 30
    assert "compilers" not in orjson.dumps(after).decode()
    assert "script>alert" not in orjson.dumps(after).decode()
