"""Evaluations on disk: kept whole, found again, and gone with those whose words they show."""

from dataclasses import replace
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.artifacts import REPORTS, authors_of
from sususbot.errors import EvaluationError, ReportMissing
from sususbot.evaluation import store
from sususbot.forgetting import Forgetting
from tests.evaluation.making import MIA, TOM, fill, history
from tests.evaluation.reports import hits, report_of, section

REPORT = report_of({"bot": {"x": section("x", a=hits(30))}})


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    folder = store.keep(tmp_path, REPORT, ("<plain>", "<page>"), {TOM.id, MIA.id})
    assert folder == tmp_path / REPORTS / "eval-winter"
    assert store.load(tmp_path, "winter") == store.latest(tmp_path) == REPORT
    assert (folder / store.PAGE).read_text(encoding="utf-8") == "<plain>"
    assert b"kettle" not in (folder / store.REPORT).read_bytes()
    assert authors_of(folder) == frozenset()
    assert store.page_of(tmp_path, "winter").read_text(encoding="utf-8") == "<page>"
    assert authors_of(store.examples_of(tmp_path, "winter")) == frozenset({TOM.id, MIA.id})
    assert store.names(tmp_path) == ["winter"]
    assert store.free_name(tmp_path, "winter") == "winter-2"
    assert store.free_name(tmp_path, "summer") == "summer"


def test_one_of_the_same_name_is_replaced_whole(tmp_path: Path) -> None:
    store.keep(tmp_path, REPORT, ("<plain>", "<page>"), ())
    store.keep(tmp_path, replace(REPORT, examples=()), None, ())
    assert sorted(path.name for path in store.folder_of(tmp_path, "winter").iterdir()) == [
        "manifest.json",
        "report.json",
    ]
    assert [path.name for path in (tmp_path / REPORTS).iterdir()] == ["eval-winter"]


def test_what_is_not_there(tmp_path: Path) -> None:
    assert store.names(tmp_path) == []
    assert store.latest(tmp_path) is None
    with pytest.raises(ReportMissing, match="make one with  sususbot eval"):
        store.load(tmp_path, "winter")
    store.keep(tmp_path, REPORT, None, ())
    with pytest.raises(ReportMissing, match="there are winter"):
        store.load(tmp_path, "summer")


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"format": 99}', b'{"format": 1}'])
def test_what_cannot_be_read_says_so(tmp_path: Path, content: bytes) -> None:
    store.keep(tmp_path, REPORT, None, ())
    (store.folder_of(tmp_path, "winter") / store.REPORT).write_bytes(content)
    with pytest.raises(ReportMissing, match="remove its folder"):
        store.load(tmp_path, "winter")
    assert store.latest(tmp_path) is None


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / REPORTS).write_text("a file where a folder should be", encoding="utf-8")
    with pytest.raises(EvaluationError, match="cannot be written"):
        store.keep(tmp_path, REPORT, None, ())


def test_words_go_when_somebody_in_them_may_not_be_quoted_any_more_and_figures_stay(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        fill(archive, history()[:40])
        work = Forgetting(archive, tmp_path)
        store.keep(tmp_path, REPORT, ("figures", "Mia said"), {MIA.id, TOM.id})
        store.keep(tmp_path, report_of(REPORT.systems, name="without-her"), None, {TOM.id})
        assert work.drop_reports().files == ()
        archive.consents.say(MIA.id, by="member", way="told", at=1, quote=False)
        gone = work.drop_reports()
    assert gone.files == ("reports/eval-winter.examples",)
    assert gone.steps == ["sususbot eval"]
    assert store.names(tmp_path) == ["winter", "without-her"]
    assert store.load(tmp_path, "winter") == replace(REPORT, examples=())
    assert store.page_of(tmp_path, "winter").read_text(encoding="utf-8") == "figures"
    assert store.load(tmp_path, "without-her").examples == REPORT.examples
