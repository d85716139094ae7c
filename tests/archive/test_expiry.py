"""What is past its time loses its words, to the last byte, also where the expiry was ended between."""

from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.archive.feedback import Rated
from tests.archive.making import NOON, TOM, filled, found, message
from tests.archive.test_erasure import AT, everything

# -- past their time


def test_what_is_past_its_time_loses_its_words(archive: Archive, tmp_path: Path) -> None:
    filled(archive, message(1, "kettle"), message(2, "teapot", TOM), message(3, "samovar"))
    assert archive.erasure.expire(NOON + 3000) == [1, 2]
    assert archive.erasure.expire(NOON + 3000) == []
    assert found(archive, "kettle", "teapot", "samovar") == [3]
    assert filled(archive, message(1, "kettle", edited_at=AT)).known == 1
    assert archive.check() == []
    left = everything(tmp_path)
    assert (b"kettle" in left, b"teapot" in left, b"samovar" in left) == (False, False, True)


def test_words_of_thumbs_past_their_time_leave_no_byte(archive: Archive, tmp_path: Path) -> None:
    """Also where no message is too old."""
    filled(archive, message(9, "kettle"))
    archive.feedback.put(Rated(NOON, 1, "which samovar?", "the zyzzyva one", "recall"))
    assert archive.erasure.expire(NOON + 1) == []
    assert not archive.erasure.expired()
    left = everything(tmp_path)
    assert (b"zyzzyva" in left, b"samovar" in left, b"kettle" in left) == (False, False, True)


def test_an_expiry_that_was_ended_between_is_finished_by_the_next(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(archive, *(message(id_, "kettle") for id_ in range(1, 200)))

    def ended(*_: object, **__: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as during:
        during.setattr("sususbot.archive.database.Database.rewrite", ended)
        with pytest.raises(KeyboardInterrupt):
            archive.erasure.expire(AT * 2)
    assert archive.erasure.expire(AT * 2) == []
    assert b"ettle" not in everything(tmp_path)
    assert archive.check() == []
