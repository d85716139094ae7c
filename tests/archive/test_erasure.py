"""Erasing: tombstones, nameless mentions, no bytes left; and the same end whatever comes in which order."""

import random
import re
import string
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sususbot.archive.archive import Archive
from sususbot.archive.consents import Permissions, Statement
from sususbot.archive.nameless import NOBODY, without_quotes
from sususbot.errors import ArchiveLocked
from sususbot.messages import Attachment, Author, Channel, Message, Origin, Reaction
from tests.archive.making import GUILD, KITCHEN, MIA, NOON, TOM, filled, found, message, raw, snapshot
from tests.support.consents import agree, refuse

AT = NOON + 99


def mention(id_: int, text: str = "hi <@1>", rendered: str = "hi @Mia", author: Author = TOM) -> Message:
    return replace(message(id_, text, author, mentions=(MIA.id,)), rendered=rendered)


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_what_is_left_of_the_forgotten_is_an_id_and_tombstones(archive: Archive, tmp_path: Path) -> None:
    full = message(
        1,
        "kettle",
        reply_to=4,
        mentions=(TOM.id,),
        reactions=(Reaction("x", 1),),
        attachments=(Attachment(7, "pot.png", 1, "https://cdn.example/pot"),),
    )
    filled(archive, full, message(2, "teapot", TOM), mention(3))
    agree(archive, MIA)
    archive.vectors.use_embedder("small")
    archive.vectors.put(archive.vectors.pending(9), np.ones((3, 4), np.float32))
    assert archive.erase(MIA.id, at=AT) == 1
    assert archive.erase(MIA.id, at=AT + 5) == 0
    columns = "type, content, rendered, reply_to, mentions, reactions, attachments, deleted_at"
    assert raw(tmp_path, f"SELECT {columns} FROM messages WHERE id = 1") == [(0, "", "", None, None, None, None, AT)]
    assert raw(tmp_path, "SELECT name, display_name FROM authors WHERE id = 1") == [("", NOBODY)]
    assert raw(tmp_path, "SELECT count(*) FROM author_names WHERE author_id = 1") == [(0,)]
    assert raw(tmp_path, "SELECT count(*) FROM consents") == [(0,)]
    assert archive.messages([3])[3].rendered == f"hi @{NOBODY}"
    assert found(archive, "kettle", "Mia") == []
    # A mention that lost its name is embedded anew.
    assert archive.vectors.without([1, 2, 3]) == [1, 3]
    assert archive.erasure.erased() == {MIA.id: AT}
    assert archive.erasure.unfinished() == [MIA.id]
    assert archive.consents.answers(MIA.id) == Permissions(False, False, False)
    archive.erasure.finish([MIA.id], at=AT)
    assert archive.erasure.unfinished() == []
    assert archive.check() == []


def test_a_member_who_is_not_known_can_be_forgotten(archive: Archive, tmp_path: Path) -> None:
    assert archive.erase(MIA.id, at=AT) == 0
    added = filled(archive, message(1, "kettle"), mention(2))
    assert (added.new, added.withheld) == (1, 1)
    assert raw(tmp_path, "SELECT name, display_name FROM authors WHERE id = 1") == [("", NOBODY)]
    assert archive.messages([1, 2]).keys() == {2}
    assert archive.messages([2])[2].rendered == f"hi @{NOBODY}"
    assert archive.check() == []
    assert b"kettle" not in everything(tmp_path)


def test_names_go_where_they_are_addressed_without_an_id_unless_others_have_them(archive: Archive) -> None:
    other = Author(5, "mia2", "Mia")
    filled(
        archive,
        message(1, "x"),
        message(2, "@mia come, and @mia2 and @miami", TOM),
        message(3, "@Mia hello", TOM),
        message(4, "y", other),
    )
    archive.erase(MIA.id, at=AT)
    texts = {id_: one.rendered for id_, one in archive.messages([2, 3]).items()}
    # `Mia` may be the other one; `mia` is nobody else's.
    assert texts == {2: f"@{NOBODY} come, and @mia2 and @miami", 3: "@Mia hello"}
    assert archive.check() == []


def test_capitals_do_not_keep_a_name(archive: Archive) -> None:
    quin = Author(6, "QuinCy", "QuinCÉ")
    filled(archive, message(1, "x", quin), message(2, "@quincy and @QUINCÉ and @quincyx", TOM))
    archive.erase(quin.id, at=AT)
    assert archive.messages([2])[2].rendered == f"@{NOBODY} and @{NOBODY} and @quincyx"


def test_every_name_they_ever_had_goes(archive: Archive, tmp_path: Path) -> None:
    names = ["Mia", "Mia the Elder", "M.(ia)*", "Mïa\\d"]
    for at, name in enumerate(names):
        filled(archive, message(at + 1, author=Author(1, "mia.account", name)), fetched_at=NOON + at)
    filled(archive, *(mention(10 + at, f"<@1> {at}", f"@{name} {at}") for at, name in enumerate(names)))
    archive.erase(MIA.id, at=AT)
    archive.erasure.finish([MIA.id], at=AT)
    assert {one.rendered for one in archive.messages(range(10, 20)).values()} == {f"@{NOBODY} {at}" for at in range(4)}
    left = everything(tmp_path)
    for name in [*names[1:], "mia.account"]:
        assert name.encode() not in left


def quoting(id_: int, text: str = "> my kettle\n<@1> is it?", *, reply_to: int | None = None) -> Message:
    mentions = (MIA.id,) if "<@1>" in text else ()
    one = message(id_, text, TOM, type=19, reply_to=reply_to, mentions=mentions)
    return replace(one, rendered=text.replace("<@1>", "@Mia"))


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 0, 2, 3), (0, 2, 1, 3), (2, 3, 1, 0), (2, 1, 0, 3), (1, 2, 3, 0)])
def test_what_others_quoted_of_them_goes_in_any_order(archive: Archive, tmp_path: Path, order: tuple[int, ...]) -> None:
    """Old ways of answering repeat what is answered, with a mention or as a reply."""
    events: list[Callable[[], object]] = [
        lambda: archive.erase(MIA.id, at=AT),
        lambda: filled(archive, message(1, "my kettle\nand samovar")),
        lambda: filled(archive, quoting(2), quoting(3, ">>> and samovar\nto the end", reply_to=1)),
        lambda: filled(archive, quoting(4, "> my kettle\nyours?", reply_to=1), quoting(5, "> tea\nmine", reply_to=9)),
    ]
    for event in order:
        events[event]()
    texts = {id_: one.rendered for id_, one in archive.messages(range(10)).items()}
    assert texts == {2: f"> …\n@{NOBODY} is it?", 3: "> …", 4: "> …\nyours?", 5: "> tea\nmine"}
    assert found(archive, "kettle", "samovar") == []
    assert archive.check() == []
    archive.erasure.finish([MIA.id], at=AT)
    assert re.search(rb"ettle|amovar", everything(tmp_path)) is None


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("> a\n> b\nc", "> …\n> …\nc"),
        ("a > b\n>no quote", "a > b\n>no quote"),
        ("x\n>>> a\nb\n> c", "x\n> …"),
        ("", ""),
    ],
)
def test_quoted_lines(text: str, without: str) -> None:
    assert without_quotes(text) == without


def test_names_go_from_files_and_talks_that_are_called_after_them(archive: Archive, tmp_path: Path) -> None:
    talk = Channel(30, GUILD.id, "Direct Messages - Zanzibaria", type="DirectTextChat")
    archive.add_channel(GUILD, talk, origin="export", seen_at=1)
    zanzibaria = Author(1, "zanzi", "Zanzibaria")
    source = archive.add_source("package", "package-zanzibaria.zip")
    archive.add([message(1, author=zanzibaria, channel=talk)], source=source, fetched_at=NOON)
    archive.erase(1, at=AT)
    archive.erasure.finish([1], at=AT)
    assert re.search(b"anzi", everything(tmp_path), re.IGNORECASE) is None
    assert [channel.name for channel in archive.channels()] == ["kitchen", "garden", NOBODY]


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (1, 0, 2), (2, 1, 0), (0, 1, 2, 1, 2)])
def test_what_channels_are_called_after_them_stays_away_in_any_order(
    archive: Archive, tmp_path: Path, order: tuple[int, ...]
) -> None:
    """The title of a post in a forum is its writer's words; a direct talk is called after who is in it."""
    post = Channel(1, GUILD.id, "my kettle whistles", type="PublicThread", topic="kettle")
    talk = Channel(31, GUILD.id, "Mia", type="DirectTextChat")
    seen = iter(range(1, 9))

    def take_in() -> None:
        at = next(seen)
        for channel in (post, talk):
            archive.add_channel(GUILD, channel, origin="export", seen_at=at)
        source = archive.add_source("export", "Direct Messages - Mia.json")
        archive.add([message(2, channel=talk)], source=source, fetched_at=NOON)

    events: list[Callable[[], object]] = [
        lambda: archive.erase(MIA.id, at=AT),
        take_in,
        lambda: filled(archive, message(1, "it does", channel=KITCHEN), message(3, "tea", TOM)),
    ]
    for event in order:
        events[event]()
    assert {channel.id: channel.name for channel in archive.channels()}[post.id] == NOBODY
    archive.erasure.finish([MIA.id], at=AT)
    assert re.search(rb"kettle|Mia", everything(tmp_path)) is None


# -- who said no to everything


def test_a_full_no_takes_the_words_and_a_yes_lets_them_come_back(archive: Archive, tmp_path: Path) -> None:
    history = [message(1, "kettle"), message(2, "teapot", TOM), mention(3), message(4, "samovar")]
    filled(archive, *history)
    clean = snapshot(tmp_path)
    refuse(archive, MIA)
    (author_id,) = archive.consents.refused()
    archive.erasure.begin(author_id, at=AT, may_return=True)
    assert archive.erasure.carry_out(author_id) == 2
    archive.erasure.finish([author_id], at=AT)
    assert archive.consents.refused() == []
    assert found(archive, "kettle", "samovar") == []
    # Others' words about them, and the name to say yes by, are no words of theirs.
    assert archive.messages([3])[3].rendered == "hi @Mia"
    assert archive.names()[MIA.id] == {"mia", "Mia"}
    assert filled(archive, *history, message(5, "new")).withheld == 1
    assert archive.check() == []
    agree(archive, MIA)
    assert archive.erasure.erased() == {}
    assert filled(archive, *history).new == 2
    assert found(archive, "kettle", "samovar") == [1, 4]
    assert archive.check() == []
    messages = [row for row in snapshot(tmp_path)["messages"] if row[0] != 5]
    assert messages == clean["messages"]


def test_what_others_quoted_goes_with_a_full_no_but_no_name(archive: Archive) -> None:
    filled(archive, message(1, "my kettle"), quoting(2), quoting(3, "> my kettle\nmine", reply_to=1))
    refuse(archive, MIA)
    archive.erasure.begin(MIA.id, at=AT, may_return=True)
    archive.erasure.carry_out(MIA.id)
    filled(archive, quoting(4), quoting(5, "> my kettle\nno", reply_to=1))
    texts = {id_: one.rendered for id_, one in archive.messages(range(10)).items()}
    assert texts == {2: "> …\n@Mia is it?", 3: "> …\nmine", 4: "> …\n@Mia is it?", 5: "> …\nno"}
    assert archive.check() == []


def test_who_says_no_before_they_are_known_can_be_found_by_name(archive: Archive) -> None:
    refuse(archive, MIA)
    archive.erasure.begin(MIA.id, at=AT, may_return=True)
    assert filled(archive, message(1, "kettle"), mention(2)).withheld == 1
    assert archive.names()[MIA.id] == {"mia", "Mia"}
    assert archive.messages([1, 2])[2].rendered == "hi @Mia"
    assert found(archive, "kettle") == []
    assert archive.check() == []


def test_what_was_deleted_on_discord_does_not_come_back_with_a_yes(archive: Archive) -> None:
    history = [message(1, "kettle"), message(2, "samovar"), message(3, "teapot")]
    filled(archive, *history)
    archive.delete([3], at=NOON)
    refuse(archive, MIA)
    archive.erasure.begin(MIA.id, at=AT, may_return=True)
    archive.erasure.carry_out(MIA.id)
    archive.delete([2], at=AT + 1)
    agree(archive, MIA)
    filled(archive, *history)
    assert list(archive.messages([1, 2, 3])) == [1]
    assert archive.check() == []


def test_who_said_no_can_still_be_forgotten_but_not_the_other_way_round(archive: Archive, tmp_path: Path) -> None:
    filled(archive, message(1), mention(2))
    refuse(archive, MIA)
    archive.erasure.begin(MIA.id, at=AT, may_return=True)
    archive.erasure.carry_out(MIA.id)
    archive.erase(MIA.id, at=AT + 1)
    assert archive.messages([2])[2].rendered == f"hi @{NOBODY}"
    assert archive.erasure.forgotten([MIA.id, TOM.id]) == {MIA.id: AT}
    archive.erasure.begin(MIA.id, at=AT + 2, may_return=True)
    assert archive.erasure.forgotten([MIA.id]) == {MIA.id: AT}
    archive.erasure.finish([MIA.id], at=AT)
    assert b"Mia" not in everything(tmp_path)


def test_of_the_forgotten_only_their_own_later_yes_is_heard(archive: Archive) -> None:
    filled(archive, message(1, "kettle"))
    archive.erase(MIA.id, at=AT)
    for statement in (
        Statement(MIA.id, "owner", "file", AT + 9, learn=True, remember=True),
        Statement(MIA.id, "member", "old list", AT - 9, learn=True, remember=True),
        Statement(MIA.id, "member", "dm", AT + 9, learn=False),
    ):
        archive.consents.add([statement])
        assert archive.consents.statements() == []
        assert archive.consents.answers(MIA.id) == Permissions(False, False, False)
        assert archive.erasure.erased() == {MIA.id: AT}
    archive.consents.say(MIA.id, by="member", way="dm", at=AT + 10, remember=True)
    assert archive.erasure.erased() == {}
    # What was erased stays so; what they say from now on is a member's.
    assert filled(archive, message(1, "kettle"), message(2, "samovar"), fetched_at=NOON + 5).new == 1
    assert found(archive, "kettle", "samovar") == [2]
    assert archive.messages([2])[2].author == MIA
    assert archive.check() == []


# -- nothing is left in the file


def unique(random_: random.Random, length: int = 12) -> str:
    return "".join(random_.choices(string.ascii_lowercase, k=length))


@pytest.mark.parametrize("seed", [1, 2])
def test_no_byte_of_the_forgotten_is_left_even_in_pages_that_were_split(tmp_path: Path, seed: int) -> None:
    """Rows that arrive in no order split pages, and a split leaves copies that `secure_delete` does not know of."""
    random_ = random.Random(seed)
    words: dict[int, str] = {id_: unique(random_) for id_ in range(1, 6001)}
    messages = [
        message(id_, " ".join(["filler"] * random_.randrange(40) + [word]), MIA if random_.random() < 0.3 else TOM)
        for id_, word in words.items()
    ]
    hers = [words[m.id] for m in messages if m.author is MIA]
    random_.shuffle(messages)
    with Archive(tmp_path) as archive:
        filled(archive)
        source = archive.add_source("export", "x")
        for start in range(0, len(messages), 100):
            archive.add(messages[start : start + 100], source=source, fetched_at=NOON)
        edited = [message(m.id, f"edited {words[m.id][::-1]}", MIA, edited_at=AT) for m in messages if m.author is MIA]
        archive.add(edited[:300], source=source, fetched_at=NOON)
        archive.erase(MIA.id, at=AT)
        archive.erasure.finish([MIA.id], at=AT)
        # Still open: what another program would find in the files.
        left = everything(tmp_path)
    # By their endings: a copy may have lost its beginning.
    ends = {form[-8:].encode() for word in hers for form in (word, word[::-1])}
    runs = re.findall(rb"[a-z]{8,}", left)
    assert not ends & {run[at : at + 8] for run in runs for at in range(len(run) - 7)}
    assert len(hers) > 1500


def test_a_reader_in_the_way_is_told_and_the_erasure_stays_unfinished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sususbot.archive.database.BUSY_SECONDS", 0.05)
    with Archive(tmp_path) as archive, Archive(tmp_path) as other:
        filled(archive, *(message(id_, "kettle") for id_ in range(1, 50)))
        with other._database.snapshot():
            assert len(other.messages([1])) == 1
            archive.erase(MIA.id, at=AT)
            with pytest.raises(ArchiveLocked, match="stop the bot and run the same command again"):
                archive.erasure.finish([MIA.id], at=AT)
            assert archive.erasure.unfinished() == [MIA.id]
        archive.erasure.finish([MIA.id], at=AT)
        assert archive.erasure.unfinished() == []
        assert b"kettle" not in everything(tmp_path)


# -- the same end in any order

HISTORY: list[tuple[Origin, Message, int]] = [
    ("export", message(1, "kettle"), NOON),
    ("api", message(1, "kettle twice", edited_at=NOON + 5), NOON + 6),
    ("export", mention(2), NOON),
    ("gateway", mention(2), NOON + 7),
    ("export", message(3, "teapot", TOM, reply_to=1), NOON),
    ("package", message(4, "samovar"), NOON + 1),
]


def added(archive: Archive, origin: Origin, one: Message, at: int) -> None:
    archive.add_channel(GUILD, KITCHEN, origin="export", seen_at=NOON)
    archive.add([one], source=archive.add_source(origin, "x"), fetched_at=at)


def outcome(events: Sequence[Callable[[Archive], object]]) -> dict[str, list[tuple[object, ...]]]:
    with TemporaryDirectory() as folder:
        with Archive(Path(folder)) as archive:
            for event in events:
                event(archive)
            assert archive.check() == []
            assert found(archive, "kettle", "samovar", "Mia", "twice") == []
        return snapshot(Path(folder))


EVENTS: list[Callable[[Archive], object]] = [
    lambda archive: archive.erase(MIA.id, at=AT),
    *(lambda archive, row=row: added(archive, *row) for row in HISTORY),
]


@settings(max_examples=15, deadline=None)
@given(st.permutations(EVENTS), st.lists(st.sampled_from(EVENTS), max_size=3))
def test_an_erased_member_is_erased_whatever_comes_before_or_after(
    order: list[Callable[[Archive], object]], again: list[Callable[[Archive], object]]
) -> None:
    assert outcome([*order, *again]) == outcome(EVENTS)
