"""Full text: what is said is found by its words' stems, what may not be remembered never, and no question breaks it."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sususbot.archive.archive import Archive
from sususbot.archive.words import STOP_WORDS, question_words
from tests.archive.making import GARDEN, KITCHEN, MIA, NOON, OTHER_BOT, SUSU, TOM, filled, found, message
from tests.support.consents import agree, refuse

HOSTILE = [
    'who said "kettle',
    'kettle" OR "teapot',
    "kettle AND NOT teapot",
    "NEAR(kettle teapot, 3)",
    "rendered : kettle",
    "{rendered} : kettle",
    "^kettle + teap*",
    "kettle'; DROP TABLE messages; --",
    "((((kettle",
    "%kettle_",
    "\\kettle\x00teapot",
]


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("we were boiling kettles", "boiled kettle"),
        ("TEA", "tea"),
        ("crème brûlée", "creme brulee"),
        ("Straße", "STRASSE straße"),
        ("дождь идёт", "Дождь"),
        ("お茶 どうぞ", "お茶"),
        ("see tea_pot.py", "tea_pot"),
        ("at 17:45 sharp", "17"),
        ("@mia's cup", "mia"),
    ],
)
def test_a_message_is_found_by_its_words(archive: Archive, said: str, asked: str) -> None:
    filled(archive, message(1, said), message(2, "nothing of that"))
    assert found(archive, *question_words(asked)) == [1]


def test_the_best_match_comes_first_and_scores_higher(archive: Archive) -> None:
    filled(archive, message(1, "tea and a long story about something else"), message(2, "kettle tea"), message(3, "no"))
    hits = archive.words.search(["kettle", "tea"], limit=10)
    assert [id_ for id_, _ in hits] == [2, 1]
    assert hits[0][1] > hits[1][1]
    assert archive.words.search(["kettle", "tea"], limit=1) == hits[:1]
    assert archive.words.search(["kettle", "tea"], limit=0) == []


def test_only_what_the_audience_may_see_is_found(archive: Archive) -> None:
    filled(archive, message(1, "tea"), message(2, "tea", channel=GARDEN))
    search = archive.words.search
    assert [id_ for id_, _ in search(["tea"], limit=9, audience=frozenset({GARDEN.id}))] == [2]
    assert len(search(["tea"], limit=9, audience=frozenset({GARDEN.id, KITCHEN.id, 999}))) == 2
    assert search(["tea"], limit=9, audience=frozenset()) == []
    assert len(search(["tea"], limit=9, audience=None)) == 2


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


def test_names_that_members_read_are_found_and_ids_are_not(archive: Archive) -> None:
    filled(archive, replace(message(1), content="hi <@77>", rendered="hi @Mia"))
    assert (found(archive, "mia"), found(archive, "77")) == ([1], [])


@pytest.mark.parametrize("nothing", [[], [""], ["_"], ["unheardof"], ["unheardof", "_", ""]])
def test_words_that_no_message_has_find_nothing(archive: Archive, nothing: list[str]) -> None:
    filled(archive, message(1, "tea"))
    assert archive.words.search(nothing, limit=5) == []
    assert found(archive, *nothing, "tea") == [1]


def test_a_word_is_found_as_soon_as_it_is_said(archive: Archive) -> None:
    assert found(archive, "kettle") == []
    filled(archive, message(1, "kettle"))
    assert found(archive, "kettle") == [1]


def test_common_words_are_left_out_where_rarer_ones_tell_more(archive: Archive) -> None:
    often = [message(number, "tea" + " milk" * (number % 2)) for number in range(1, 3801)]
    filled(archive, *often, message(5000, "tea and a samovar"))
    search = archive.words.search
    assert [id_ for id_, _ in search(["tea", "samovar"], limit=9)] == [5000]
    # 1,900 are within the bound, and one word alone is always searched.
    assert {id_ for id_, _ in search(["tea", "milk"], limit=5000)} == {m.id for m in often if m.id % 2}
    assert len(search(["milk", "samovar"], limit=5000)) == 1901
    assert len(search(["tea"], limit=5000)) == 3801


def test_words_that_tell_nothing_are_left_out_of_a_question() -> None:
    assert question_words("What did Mia say about the KETTLE, the kettle?") == ["mia", "say", "kettle"]
    assert question_words("who was that") == ["who", "was", "that"]
    assert question_words(" ?! ") == []
    assert all(word == word.lower() and word.isalpha() for word in STOP_WORDS)


@pytest.mark.parametrize("question", HOSTILE)
def test_operators_and_quotes_are_only_words(archive: Archive, question: str) -> None:
    filled(archive, message(1, "the kettle"), message(2, "silence"))
    assert found(archive, *question_words(question)) == [1]
    archive.words.search([question.replace("\x00", "")], limit=5)
    assert archive.check() == []


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(question=st.text(max_size=60) | st.text("\"*^:+-(){}\\' ANDORTNE", max_size=30))
def test_no_question_breaks_the_search(archive: Archive, question: str) -> None:
    archive.words.search(question_words(question), limit=5)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=3, max_size=3))
def test_any_text_is_indexed_edited_and_deleted_cleanly(tmp_path: Path, texts: list[str]) -> None:
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
    # Full text keeps a word without the letters it shares with the one before, so its end is looked for.
    assert [id_ for id_ in (6, 7, 8, 9) if word(id_)[-10:].encode() in file] == [6]


def test_a_deleted_text_is_in_no_file_while_the_archive_is_open(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        filled(archive, message(1, "the parrot sings"), message(2, "an unspeakable quixotry"))
        archive.delete([2], at=NOON)
        files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert b"parrot" in files
        assert b"quixotry" not in files


def test_any_number_of_deletions_one_by_one_leaves_the_archive_whole(tmp_path: Path) -> None:
    many = 2100
    with Archive(tmp_path) as archive:
        filled(archive, *(message(number + 1, f"kettle {number}") for number in range(many + 1)))
        # In one transaction, which takes a third of the time.
        with archive.together():
            for number in range(many):
                archive.delete([number + 1], at=NOON)
        assert archive.check() == []
        assert found(archive, "kettle") == [many + 1]
