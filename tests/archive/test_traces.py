"""What a message leaves: edited and deleted words are in no byte, and what may not be remembered is never shown."""

import hashlib
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sususbot.archive.archive import Archive
from tests.archive.making import MIA, NOON, OTHER_BOT, SUSU, TOM, filled, found, message
from tests.support.consents import agree, refuse


def test_what_may_not_be_remembered_is_never_found(archive: Archive) -> None:
    filled(
        archive,
        message(1, "tea", MIA),
        message(2, "tea", TOM),
        message(3, "tea", OTHER_BOT),
        message(4, "tea", SUSU),
        message(5, "tea", type=7),
        message(6, "tea", type=255),
        message(7, "tea", type=19, reply_to=1),
        message(8, "tea"),
    )
    archive.delete([8], at=NOON)
    assert found(archive, "tea") == [1, 2, 7]
    refuse(archive, MIA)
    assert found(archive, "tea") == [2]
    agree(archive, MIA)
    refuse(archive, TOM, 12345)
    assert found(archive, "tea") == [1, 7]
    agree(archive, TOM)
    assert found(archive, "tea") == [1, 2, 7]


def test_an_edit_changes_what_is_found(archive: Archive) -> None:
    filled(archive, message(1, "kettle"))
    filled(archive, message(1, "teapot", edited_at=NOON))
    assert (found(archive, "kettle"), found(archive, "teapot")) == ([], [1])
    filled(archive, message(1, "", edited_at=NOON + 1))
    assert found(archive, "teapot") == []
    assert archive.check() == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=3, max_size=3))
def test_any_text_is_edited_and_deleted_cleanly(tmp_path: Path, texts: list[str]) -> None:
    with Archive(tmp_path / "any") as archive:
        first = (archive.newest() or 0) + 1
        for edit, text in enumerate(texts[:2]):
            filled(
                archive, message(first, text, edited_at=NOON + edit), message(first + 1, text, edited_at=NOON + edit)
            )
        assert archive.messages([first])[first].rendered == texts[1]
        archive.delete([first], at=NOON)
        assert archive.check() == []


def test_nothing_of_a_deleted_or_edited_word_is_left_in_the_file(tmp_path: Path) -> None:
    def word(id_: int) -> str:
        return hashlib.sha256(str(id_).encode()).hexdigest()[:20]

    with Archive(tmp_path) as archive:
        filled(archive, *(message(id_, f"say {word(id_)}") for id_ in range(1, 400)))
        filled(archive, message(7, "nothing of it", edited_at=NOON + 1))
        archive.delete([8, 9], at=NOON)
        assert archive.check() == []
    (file,) = (path.read_bytes() for path in tmp_path.iterdir())
    assert [id_ for id_ in (6, 7, 8, 9) if word(id_)[-10:].encode() in file] == [6]


def test_a_deleted_text_is_in_no_file_while_the_archive_is_open(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        filled(archive, message(1, "the parrot sings"), message(2, "an unspeakable quixotry"))
        archive.delete([2], at=NOON)
        files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert b"parrot" in files
        assert b"quixotry" not in files


def test_an_edited_text_is_in_no_file_while_the_archive_is_open(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        filled(archive, message(1, "the parrot sings"), message(2, "an unspeakable quixotry"))
        filled(archive, message(2, "a speakable one", edited_at=NOON))
        files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert b"a speakable one" in files
        assert b"quixotry" not in files


def test_what_was_deleted_before_it_came_is_in_no_file_while_the_archive_is_open(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        archive.delete([2], at=NOON)
        filled(archive, message(1, "the parrot sings"), message(2, "an unspeakable quixotry"))
        files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert b"parrot" in files
        assert b"quixotry" not in files
