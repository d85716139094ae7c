"""What every source promises, shown on each of them: add a format and it gets all of these tests by a line in FILES."""

import gzip
import tracemalloc
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sususbot.archive.archive import Archive
from sususbot.errors import NotAnExport
from sususbot.forgetting import Forgetting
from sususbot.messages import Message
from sususbot.sources import source as limits
from sususbot.sources.dump_lines import dump_lines
from sususbot.sources.formats import open_source
from sususbot.sources.ingest import ingest, survey
from sususbot.sources.source import ChannelSeen, Fault, Messages, Source
from tests.archive.making import raw, snapshot
from tests.sources.exports import imported, messages_of
from tests.sources.formats import (
    FILES,
    KITCHEN_CSV,
    Said,
    Sample,
    as_api,
    as_csv,
    as_dump,
    as_export,
    as_package,
    made,
    mixed,
)

every_source = pytest.mark.parametrize("sample", FILES.values(), ids=FILES)

ORIGINS: Final = {
    "DiscordExport": {"export"},
    "CsvExport": {"csv"},
    "DataPackage": {"package"},
    "JsonLines": {"api", "jsonl"},
}


def everything(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All that an archive holds but its book-keeping: which file a row is from, what a tombstone was before."""
    held = snapshot(folder) | {
        "messages": raw(
            folder,
            """SELECT messages.id, channel_id, author_id, type, created_at, edited_at, deleted_at, content, rendered,
            reply_to, pinned, mentions, reactions, attachments,
            CASE WHEN deleted_at IS NULL THEN origin END, CASE WHEN deleted_at IS NULL THEN fetched_at END,
            CASE WHEN deleted_at IS NULL THEN words_at END
            FROM messages JOIN sources ON sources.id = source_id ORDER BY messages.id""",
        ),
        "channels": raw(folder, "SELECT * FROM channels ORDER BY id"),
        "guilds": raw(folder, "SELECT * FROM guilds ORDER BY id"),
        "consents": raw(folder, "SELECT author_id, said_by, way, at, learn, remember, quote FROM consents ORDER BY at"),
        "answers": raw(folder, "SELECT * FROM answers ORDER BY author_id"),
        "erased": raw(folder, "SELECT author_id, at FROM erased ORDER BY author_id"),
        "unseen": raw(folder, "SELECT * FROM deleted_unseen WHERE id NOT IN (SELECT id FROM messages) ORDER BY id"),
    }
    assert held["messages"]
    return held


def read(path: Path) -> tuple[list[Message], list[Fault]]:
    source = open_source(path)
    messages = messages_of(source)
    return messages, source.faults


def stored(folder: Path, sample: Sample) -> Path:
    return made(folder, sample.content, sample.name)


@every_source
def test_a_whole_file_gives_all_of_it(tmp_path: Path, sample: Sample) -> None:
    path = stored(tmp_path, sample)
    source: Source = open_source(path)
    assert (source.path, source.position) == (path, 0)
    known: set[int] = set()
    count = 0
    for part in source.parts():
        if isinstance(part, ChannelSeen):
            known.add(part.channel.id)
            assert part.channel.guild_id == part.guild.id
        elif isinstance(part, Messages):
            assert {message.channel_id for message in part.messages} <= known
            count += len(part.messages)
    assert (count, source.faults) == (sample.messages, [])
    assert source.position == len(sample.content)


@every_source
def test_packed_files_give_the_same(tmp_path: Path, sample: Sample) -> None:
    if sample.reader == "DataPackage":
        pytest.skip("a zip is packed already")
    path = made(tmp_path, gzip.compress(sample.content), f"{sample.name}.gz")
    assert read(path) == read(stored(tmp_path, sample))


@every_source
def test_importing_again_adds_nothing(tmp_path: Path, sample: Sample) -> None:
    path = stored(tmp_path, sample)
    first, second = imported(tmp_path / "data", path, path)
    assert first.added.new == sample.messages
    assert (second.added.new, second.added.changed, second.added.withheld) == (0, 0, 0)
    assert second.added.known == sample.messages
    imported(tmp_path / "once", path)
    assert everything(tmp_path / "data") == everything(tmp_path / "once")


@every_source
def test_a_file_cut_at_any_byte_gives_what_is_whole_and_says_where_it_broke(tmp_path: Path, sample: Sample) -> None:
    whole, _ = read(stored(tmp_path, sample))
    spans = sample.spans
    most = 0
    for cut in range(len(sample.content)):
        path = made(tmp_path, sample.content[:cut], sample.name)
        try:
            messages, faults = read(path)
        except NotAnExport:
            assert spans is None or cut < spans[0][1]
            assert most == 0
            continue
        if spans is not None:
            assert messages == whole[: sum(end <= cut for _, end in spans)]
        assert messages == whole[: len(messages)]
        most = max(most, len(messages))
        if len(messages) < len(whole) and (spans is None or cut > spans[len(messages)][0]):
            assert faults
        for fault in faults:
            assert 0 <= fault.byte <= len(sample.content) * 4
            assert fault.number >= 1
            assert f"byte {fault.byte:,}, {fault.unit} {fault.number:,}: {fault.reason}" in str(fault)
    assert most >= len(whole) - 1


@every_source
def test_files_cut_anywhere_and_then_whole_add_up(tmp_path: Path, sample: Sample) -> None:
    path = stored(tmp_path, sample)
    imported(tmp_path / "clean", path)
    with Archive(tmp_path / "cut") as archive:
        for part in range(1, 40):
            try:
                ingest(archive, made(tmp_path, sample.content[: len(sample.content) * part // 40], sample.name))
            except NotAnExport:
                assert part < 36
        ingest(archive, made(tmp_path, sample.content, sample.name))
        assert archive.check() == []
    assert everything(tmp_path / "cut") == everything(tmp_path / "clean")


@every_source
def test_every_row_knows_how_it_came(tmp_path: Path, sample: Sample) -> None:
    imported(tmp_path / "data", stored(tmp_path, sample))
    with Archive(tmp_path / "data") as archive:
        origins = archive.origins()
    assert set(origins) <= ORIGINS[sample.reader]
    assert sum(origins.values()) == sample.messages
    names = raw(tmp_path / "data", "SELECT DISTINCT name FROM messages JOIN sources ON sources.id = source_id")
    assert names == [(sample.name,)]


@every_source
def test_who_was_erased_stays_erased(tmp_path: Path, sample: Sample) -> None:
    with Archive(tmp_path / "data") as archive:
        archive.erase(101, at=1)
        done = ingest(archive, stored(tmp_path, sample))
        assert archive.check() == []
    own = raw(tmp_path / "data", "SELECT content, rendered, deleted_at FROM messages WHERE author_id = 101")
    assert own == [("", "", 1)] * done.added.withheld
    assert done.added.withheld >= 3
    assert done.added.new == sample.messages - done.added.withheld
    assert raw(tmp_path / "data", "SELECT name FROM authors WHERE id = 101") == [("",)]
    assert raw(tmp_path / "data", "SELECT * FROM author_names WHERE author_id = 101") == []
    on_disk = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert b"who has the kettle" not in on_disk
    assert b"mia" not in on_disk.lower().replace(b"remia", b"")


@every_source
def test_a_survey_says_what_an_import_would_take_in_and_writes_nothing(tmp_path: Path, sample: Sample) -> None:
    path = stored(tmp_path, sample)
    before = sorted(tmp_path.iterdir())
    told: list[tuple[int, int]] = []
    found = survey(path, lambda messages, read: told.append((messages, read)))
    assert sorted(tmp_path.iterdir()) == before
    (done,) = imported(tmp_path / "data", path)
    assert (found.messages, found.skipped, found.faults) == (done.added.new, done.skipped, done.faults)
    rows = raw(tmp_path / "data", "SELECT count(DISTINCT author_id), min(created_at), max(created_at) FROM messages")
    assert [(len(found.authors), found.first_at, found.last_at)] == rows
    assert tuple(found.channels.values()) == done.channels
    assert told[-1][0] == found.messages


LARGE: Final = [Said(number, f"{number} " + "kettle " * 200, 101) for number in range(4_000)]
LARGE_FILES: Final = {
    "export.json": as_export,
    KITCHEN_CSV: as_csv,
    "package.zip": as_package,
    "dump.jsonl": as_dump,
    "api.jsonl": as_api,
}


@pytest.mark.parametrize("name", LARGE_FILES)
def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(limits, "BATCH", 200)
    peaks = []
    for count in (1_500, 4_000):
        content = LARGE_FILES[name](LARGE[:count])  # type: ignore[operator]  # functions of the same kind
        path = made(tmp_path, content, name)
        tracemalloc.start()
        try:
            assert sum(len(part.messages) for part in open_source(path).parts() if isinstance(part, Messages)) == count
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2_000_000
    assert peaks[1] < 12_000_000


def test_files_of_one_chat_give_the_same_archive_in_any_order(tmp_path: Path) -> None:
    paths = mixed(tmp_path)
    imported(tmp_path / "first", *paths)
    expected = everything(tmp_path / "first")
    with Archive(tmp_path / "first") as archive:
        assert archive.origins() == {"api": 2, "csv": 1, "export": 1, "jsonl": 4, "package": 1}

    folders = iter(range(1_000_000))

    @settings(max_examples=15, deadline=None)
    @given(st.permutations(range(len(paths))), st.lists(st.sampled_from(range(len(paths))), max_size=2))
    def any_order(order: list[int], again: list[int]) -> None:
        folder = tmp_path / str(next(folders))
        imported(folder, *(paths[number] for number in [*order, *again]))
        assert everything(folder) == expected

    any_order()


def test_an_erasure_reaches_all_files_in_any_order(tmp_path: Path) -> None:
    paths = [*mixed(tmp_path), made(tmp_path, as_dump([Said(11, "later", 101)], erased=102), "forget.jsonl")]
    imported(tmp_path / "first", *paths)
    imported(tmp_path / "last", *paths[::-1])
    assert everything(tmp_path / "first")["erased"] == [(102, 1_709_467_200_000)]
    for name in ("first", "last"):
        with Archive(tmp_path / name) as archive:
            Forgetting(archive, tmp_path / name).resume(at=1_709_467_200_000)
        own = raw(tmp_path / name, "SELECT content || rendered FROM messages WHERE author_id = 102")
        assert {words for (words,) in own} == {""}
    assert len(own) == 5


def dumped(folder: Path) -> bytes:
    with Archive(folder) as archive:
        return b"".join(dump_lines(archive))


@pytest.mark.parametrize("batch", [1, 3, 16_384])
def test_a_dump_imported_into_an_empty_archive_gives_the_same_dump(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(limits, "BATCH", batch)
    imported(tmp_path / "data", *mixed(tmp_path))
    with Archive(tmp_path / "data") as archive:
        archive.erase(103, at=5)
        archive.consents.say(101, by="owner", way="owner's list", at=7, learn=True, quote=False)
    first = dumped(tmp_path / "data")
    done = imported(tmp_path / "copy", made(tmp_path, first, "dump"))
    assert done[0].faults == ()
    assert dumped(tmp_path / "copy") == first
    assert everything(tmp_path / "copy") == everything(tmp_path / "data")
    assert first.count(b'"kind":"tombstone"') == 2
    assert b"only in the CSV" not in first
