"""Lines of JSON: a dump in every detail, and messages of the API."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sususbot.archive.archive import Archive
from sususbot.errors import NotAnExport
from sususbot.messages import Attachment, Author, Channel, Guild, Message, Reaction
from sususbot.sources.dump_lines import dump_lines
from sususbot.sources.formats import open_source
from sususbot.sources.ingest import ingest
from sususbot.sources.json_lines import JsonLines
from tests.archive.making import GARDEN, GUILD, KITCHEN, MIA, NOON, TOM, message, raw
from tests.sources.exports import imported, messages_of
from tests.sources.formats import CHAT, as_api, as_dump, lines, made

FULL = Message(
    7, KITCHEN.id, MIA, NOON + 7000, "hi <@2> <:pot:77>", "hi @Tom :pot:", 19, NOON + 9000, 5, True, (2,),
    (Reaction("🫖", 3),), (Attachment(55, "pot.png", 1234, "https://e/pot.png"),),
)  # fmt: skip


def filled(folder: Path) -> None:
    """An archive with one of everything that a dump can hold."""
    with Archive(folder) as archive:
        archive.add_channel(GUILD, KITCHEN, origin="api", seen_at=5)
        archive.add_channel(GUILD, Channel(GARDEN.id, GUILD.id, "garden", "x", 20, "roses"), origin="csv", seen_at=6)
        archive.add_guild(Guild(-3, "nobody's"), origin="package", seen_at=7)
        archive.add([FULL, message(5, "kettle", TOM)], source=archive.add_source("export", "a"), fetched_at=NOON)
        archive.add([message(6, "live")], source=archive.add_source("gateway", "b"), fetched_at=NOON + 1)
        archive.add([message(6, "live")], source=archive.add_source("export", "a"), fetched_at=NOON + 50)
        archive.add([message(8, "gone")], source=archive.add_source("package", "c"), fetched_at=NOON + 2)
        archive.add(
            [message(9, "", Author(1, "mia", "Mimi"))], source=archive.add_source("api", "d"), fetched_at=NOON + 3
        )
        archive.add(
            [message(11, "erased", Author(66, "bob", "Bob"))], source=archive.add_source("api", "d"), fetched_at=9
        )
        archive.delete([8], at=NOON + 99)
        archive.delete([4242], at=NOON + 98)
        archive.consents.say(1, by="member", way="slash", at=3, learn=True, quote=False)
        archive.erase(66, at=NOON + 97)


def said_no(folder: Path) -> None:
    """Tom says no to everything; Mia has addressed him."""
    with Archive(folder) as archive:
        archive.add_channel(GUILD, KITCHEN, origin="api", seen_at=5)
        archive.add(
            [message(5, "kettle", TOM), replace(message(6, "hi <@2>", mentions=(TOM.id,)), rendered="hi @Tom")],
            source=archive.add_source("api", "d"),
            fetched_at=NOON,
        )
        archive.consents.say(TOM.id, by="member", way="slash", at=4, learn=False, remember=False)
        archive.erasure.begin(TOM.id, at=NOON + 96, may_return=True)
        archive.erasure.carry_out(TOM.id)


def test_who_said_no_may_still_come_back_after_a_dump(tmp_path: Path) -> None:
    said_no(tmp_path / "data")
    first = dumped(tmp_path / "data")
    assert b"kettle" not in first
    imported(tmp_path / "copy", made(tmp_path, first, "dump"))
    assert dumped(tmp_path / "copy") == first
    with Archive(tmp_path / "copy") as archive:
        assert archive.messages([6])[6].rendered == "hi @Tom"
        archive.consents.say(TOM.id, by="member", way="slash", at=5, learn=True, remember=True)
        archive.add([message(5, "kettle", TOM)], source=archive.add_source("api", "d"), fetched_at=NOON)
        assert archive.messages([5])[5].content == "kettle"


def dumped(folder: Path) -> bytes:
    with Archive(folder) as archive:
        return b"".join(dump_lines(archive))


def test_a_dump_holds_everything_once_in_a_fixed_order(tmp_path: Path) -> None:
    filled(tmp_path)
    items = [json.loads(line) for line in dumped(tmp_path).splitlines()]
    assert [(item["kind"], item.get("id", item.get("author_id"))) for item in items] == [
        ("header", None),
        ("guild", "-3"),
        ("guild", "10"),
        ("channel", "20"),
        ("channel", "21"),
        ("author", "1"),
        ("author", "2"),
        ("author", "66"),
        ("consent", "1"),
        ("message", "5"),
        ("message", "6"),
        ("message", "7"),
        ("tombstone", "8"),
        ("message", "9"),
        ("tombstone", "11"),
        ("deleted", "4242"),
        ("erased", "66"),
    ]
    by_id = {item["id"]: item for item in items if item["kind"] in ("message", "tombstone")}
    assert by_id["7"] == {
        "kind": "message", "id": "7", "channel_id": "20", "author_id": "1", "created_at": NOON + 7000, "type": 19,
        "edited_at": NOON + 9000, "content": "hi <@2> <:pot:77>", "rendered": "hi @Tom :pot:", "reply_to": "5",
        "pinned": True, "mentions": ["2"], "reactions": [["🫖", 3]],
        "attachments": [["55", "pot.png", 1234, "https://e/pot.png"]], "origin": "export", "fetched_at": NOON,
    }  # fmt: skip
    assert (by_id["6"]["origin"], by_id["6"]["fetched_at"], by_id["6"]["state_at"]) == ("gateway", NOON + 1, NOON + 50)
    assert "content" not in by_id["8"]
    assert items[5]["names"] == [["Mia", NOON + 6000, NOON + 8000], ["Mimi", NOON + 9000, NOON + 9000]]
    assert b"bob" not in dumped(tmp_path).lower()


def test_a_dump_comes_back_byte_for_byte(tmp_path: Path) -> None:
    filled(tmp_path / "data")
    first = dumped(tmp_path / "data")
    for name in ("copy", "copy"):
        (done,) = imported(tmp_path / name, made(tmp_path, first, "dump"))
        assert (done.faults, done.skipped) == ((), {})
        assert dumped(tmp_path / name) == first
    with Archive(tmp_path / "copy") as archive:
        assert archive.messages([7])[7].reactions == FULL.reactions
        assert archive.messages([7])[7].author == MIA
        assert not archive.consents.answers(1).quote
        done = ingest(archive, made(tmp_path, as_api(list(CHAT)), "api"))
        assert done.added.new == len(CHAT)


def test_a_dump_of_deleted_channels_comes_back_and_brings_no_name_back(tmp_path: Path) -> None:
    thread = Channel(30, GUILD.id, "the surprise", "GuildPublicThread", KITCHEN.id)
    named = [(GUILD, KITCHEN), (GUILD, GARDEN), (GUILD, thread)]
    before, after = tmp_path / "before.jsonl", tmp_path / "after.jsonl"
    with Archive(tmp_path / "a") as archive:
        for guild, channel in named:
            archive.add_channel(guild, channel, origin="gateway", seen_at=NOON)
        said = [message(5), message(6, channel=GARDEN), message(7, channel=thread)]
        archive.add(said, source=archive.add_source("api", "d"), fetched_at=NOON)
        before.write_bytes(b"".join(dump_lines(archive)))
        archive.delete_channel(thread.id, at=NOON + 98)
        archive.delete_channel(GARDEN.id, at=NOON + 99)
        after.write_bytes(b"".join(dump_lines(archive)))
    for folder, first in (("fresh", []), ("that-knew-them", [before])):
        with Archive(tmp_path / folder) as restored:
            for path in (*first, after):
                assert not ingest(restored, path).faults
            assert b"".join(dump_lines(restored)) == after.read_bytes()
            # Neither what is older, nor an export, however late it was made.
            ingest(restored, before)
            for guild, channel in named:
                restored.add_channel(guild, channel, origin="export", seen_at=NOON + 1000)
            assert [channel.name for channel in restored.channels()] == ["kitchen", "someone", "someone"]
            assert b"".join(dump_lines(restored)) == after.read_bytes()


def test_what_was_deleted_before_it_came_stays_deleted(tmp_path: Path) -> None:
    gone = CHAT[1]
    words = made(tmp_path, as_api([gone]), "api")
    line = lines([{"kind": "deleted", "id": str(gone.id), "deleted_at": 5}])
    imported(tmp_path / "data", made(tmp_path, line, "deleted"), words)
    assert raw(tmp_path / "data", "SELECT content, deleted_at FROM messages") == [("", 5)]


def test_names_of_the_erased_do_not_come_back_with_a_dump(tmp_path: Path) -> None:
    with Archive(tmp_path / "data") as archive:
        archive.erase(101, at=5)
        done = ingest(archive, made(tmp_path, as_dump(list(CHAT)), "dump"))
        assert done.added.withheld == 3
    assert raw(tmp_path / "data", "SELECT name, display_name FROM authors WHERE id = 101") == [("", "someone")]


def test_lost_lines_of_names_cost_only_the_names(tmp_path: Path) -> None:
    kept = [line for line in as_dump(list(CHAT)).splitlines(keepends=True) if b'"kind":"message"' in line]
    (done,) = imported(tmp_path / "data", made(tmp_path, b"".join(kept), "dump"))
    assert done.added.new == len(CHAT)
    assert raw(tmp_path / "data", "SELECT name FROM channels") == [("20",)]
    imported(tmp_path / "data", made(tmp_path, as_dump(list(CHAT)), "dump"))
    assert raw(tmp_path / "data", "SELECT name FROM channels") == [("kitchen",)]
    assert raw(tmp_path / "data", "SELECT display_name FROM authors WHERE id = 101") == [("Mia",)]


def test_a_newer_dump_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path, lines([{"kind": "header", "format": "sususbot", "version": 2}]), "dump")
    with pytest.raises(NotAnExport, match="was written by a newer sususbot: update this one"):
        open_source(path)


def test_lines_of_an_unknown_kind_are_counted(tmp_path: Path) -> None:
    source = JsonLines.open(made(tmp_path, as_dump(list(CHAT)) + lines([{"kind": "mood"}] * 2), "dump"))
    assert len(messages_of(source)) == len(CHAT)
    assert (source.skipped, source.faults) == ({"lines of an unknown kind": 2}, [])


def test_messages_of_the_api_come_with_what_they_show(tmp_path: Path) -> None:
    item: dict[str, Any] = {
        **json.loads(as_api(list(CHAT[:1]))),
        "type": 19,
        "content": "hi <@102> half \ud83d",
        "mentions": [{"id": "102", "username": "tom", "global_name": "Tom"}],
        "message_reference": {"message_id": "5", "channel_id": "20"},
        "reactions": [{"emoji": {"id": None, "name": "🫖"}, "count": 2}],
        "webhook_id": "9",
    }
    source = JsonLines.open(made(tmp_path, lines([item], ascii_only=True), "api"))
    (read,) = messages_of(source)
    assert source.faults == []
    assert (read.content, read.rendered) == ("hi <@102> half ?", "hi @Tom half ?")
    assert (read.reply_to, read.mentions, read.reactions, read.author.is_bot) == (5, (102,), (Reaction("🫖", 2),), True)


def test_messages_of_no_server_are_left_out_and_counted(tmp_path: Path) -> None:
    items = [json.loads(line) for line in as_api(list(CHAT)).splitlines()]
    del items[1]["guild_id"]
    source = JsonLines.open(made(tmp_path, lines(items), "api"))
    assert len(messages_of(source)) == len(CHAT) - 1
    assert source.skipped == {"messages of no server (without guild_id)": 1}


def test_a_lost_line_break_costs_nothing(tmp_path: Path) -> None:
    source = JsonLines.open(made(tmp_path, as_api(list(CHAT)).replace(b"\n", b"", 2), "api"))
    assert len(messages_of(source)) == len(CHAT)
    assert [(fault.number, fault.unit) for fault in source.faults] == [(1, "line")]


@pytest.mark.parametrize(
    "change",
    [
        {"id": "x"}, {"id": 1.5}, {"id": None}, {"channel_id": None}, {"created_at": "noon"}, {"content": 5},
        {"origin": "rumour"}, {"origin": None}, {"fetched_at": None}, {"mentions": 5}, {"reactions": [["x"]]},
        {"attachments": [[1]]}, {"author_id": []}, {"type": "Reply"},
    ],
    ids=str,
)  # fmt: skip
def test_a_malformed_line_costs_only_itself(tmp_path: Path, change: dict[str, Any]) -> None:
    items = [json.loads(line) for line in as_dump(list(CHAT)).splitlines()]
    place = next(number for number, item in enumerate(items) if item["kind"] == "message")
    items[place] |= change
    source = JsonLines.open(made(tmp_path, lines(items), "dump"))
    assert [message.id for message in messages_of(source)] == [said.id for said in CHAT[1:]]
    assert [fault.number for fault in source.faults] == [place + 1]
