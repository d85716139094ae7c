"""Whole files: however they are packed and written, and whatever the exporter's version, the messages are the same."""

import gzip
import json
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from sususbot.errors import NotAnExport
from sususbot.messages import Attachment, Author, Channel, Guild, Message, Reaction
from sususbot.sources import json_items, source
from sususbot.sources.discord_export import DiscordExport
from sususbot.sources.source import ChannelSeen, Messages
from tests.archive.making import snapshot
from tests.sources.exports import NOON_MS, imported, item, parsed, root, stored, time, user, varied, written

EXPORT = root(varied())
PLAIN = written(EXPORT)
LINES = PLAIN.splitlines(keepends=True)

WAYS = {
    "indented": PLAIN,
    "minified": written(EXPORT, indent=None),
    "four spaces": written(EXPORT, indent=4),
    "tabs": written(EXPORT, indent="\t"),
    "no indent, but lines": written(EXPORT, indent=0),
    "CRLF": PLAIN.replace(b"\n", b"\r\n"),
    "BOM": b"\xef\xbb\xbf" + PLAIN,
    "escaped": written(EXPORT, ascii_only=True),
    "a last newline": PLAIN + b"\n\n",
    "gz": gzip.compress(PLAIN),
    "gz of minified with BOM": gzip.compress(b"\xef\xbb\xbf" + written(EXPORT, indent=None)),
    "gz in two members": gzip.compress(PLAIN[:1500]) + gzip.compress(PLAIN[1500:]),
    "gz in a member a line": b"".join(map(gzip.compress, LINES)),
    "gz with empty members": gzip.compress(b"") + gzip.compress(PLAIN) + gzip.compress(b""),
    "sorted keys": json.dumps(EXPORT, sort_keys=True, indent=2).encode(),
    "sorted keys, minified": json.dumps(EXPORT, sort_keys=True, separators=(",", ":")).encode(),
    "more keys at the end": written({**EXPORT, "exporter": {"version": [3]}}),
}

MIA = Author(101, "mia", "Mia")
TOM = Author(102, "tom", "Tom 🫖")
FIRST = 1_213_800_251_658_240_000
STEP = 251_658_240_000


@pytest.mark.parametrize("content", WAYS.values(), ids=WAYS)
def test_a_whole_file_gives_the_same_messages_however_it_is_written(tmp_path: Path, content: bytes) -> None:
    messages, export = parsed(stored(tmp_path, content))
    assert export.faults == []
    assert messages == [
        Message(FIRST, 20, MIA, NOON_MS + 60_000, text := varied()[0]["content"], text),
        Message(
            FIRST + STEP,
            20,
            MIA,
            NOON_MS + 120_000,
            "hi <@102> :pot:",
            "hi @Tom 🫖 :pot:",
            edited_at=NOON_MS + 540_000,
            pinned=True,
            mentions=(102,),
        ),
        Message(FIRST + 2 * STEP, 20, TOM, NOON_MS + 180_000, "yes", "yes", type=19, reply_to=FIRST + STEP),
        Message(
            FIRST + 3 * STEP,
            20,
            MIA,
            NOON_MS + 240_000,
            "",
            "",
            reactions=(Reaction("🫖", 3),),
            attachments=(Attachment(55, "pot.png", 1234, "https://e/pot.png"),),
        ),
        Message(
            FIRST + 4 * STEP,
            20,
            Author(103, "susu", "Susu", is_bot=True),
            NOON_MS + 300_000,
            text := varied()[4]["content"],
            text,
        ),
    ]


def test_the_head_says_where_and_when(tmp_path: Path) -> None:
    _, export = parsed(stored(tmp_path, PLAIN))
    assert export.guild == Guild(10, "Tea house")
    assert export.channel == Channel(20, 10, "kitchen", "GuildTextChat", 15, 'all about "messages": [tea]')
    assert export.exported_at == NOON_MS + 24 * 3_600_000


def test_a_head_of_an_old_exporter_or_of_another_kind_of_channel_is_read(tmp_path: Path) -> None:
    channel = {"id": "20", "type": 11, "categoryId": None, "name": "a thread", "topic": None}
    content = {"guild": {"id": "0", "name": "Direct Messages"}, "channel": channel, "messages": [], "messageCount": 0}
    path = stored(tmp_path, written(content))
    os.utime(path, (NOON_MS / 1000, NOON_MS / 1000))
    messages, export = parsed(path)
    assert (messages, export.faults) == ([], [])
    assert (export.guild.id, export.channel) == (0, Channel(20, 0, "a thread", "11"))
    assert export.exported_at == NOON_MS
    del channel["type"], channel["topic"], channel["categoryId"]
    assert parsed(stored(tmp_path, written(content)))[1].channel == Channel(20, 0, "a thread")


def test_positions_tell_how_much_of_the_file_was_read(tmp_path: Path) -> None:
    for content in (PLAIN, gzip.compress(PLAIN)):
        export = DiscordExport.open(stored(tmp_path, content))
        assert export.position == 0
        list(export.parts())
        assert export.position == len(content)


def test_messages_come_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "BATCH", 10)
    path = stored(tmp_path, written(root([item(number) for number in range(25)])))
    first, *parts = DiscordExport.open(path).parts()
    assert isinstance(first, ChannelSeen)
    assert [len(part.messages) for part in parts if isinstance(part, Messages)] == [10, 10, 5]


def test_the_order_of_a_file_does_not_matter(tmp_path: Path) -> None:
    imported(tmp_path / "old first", stored(tmp_path, PLAIN))
    imported(tmp_path / "new first", stored(tmp_path, written(root(varied()[::-1]))))
    assert snapshot(tmp_path / "old first") == snapshot(tmp_path / "new first")


def test_overlapping_parts_give_the_whole(tmp_path: Path) -> None:
    parts = [stored(tmp_path, written(root(varied()[a:b])), f"part {a}.json") for a, b in ((2, 5), (0, 3), (1, 4))]
    imported(tmp_path / "parts", *parts)
    imported(tmp_path / "whole", stored(tmp_path, PLAIN))
    assert snapshot(tmp_path / "parts") == snapshot(tmp_path / "whole")


def test_a_later_export_brings_edits_reactions_and_names(tmp_path: Path) -> None:
    edited = [{**varied()[0], "content": "plain coffee", "timestampEdited": time(30), "author": user(nickname="Mimi")}]
    later = stored(tmp_path, written(root(edited, exportedAt=time(9999))), "later.json")
    earlier = stored(tmp_path, PLAIN, "earlier.json")
    first, second = imported(tmp_path / "forwards", earlier, later)
    assert (first.added.new, second.added.changed) == (5, 1)
    imported(tmp_path / "backwards", later, earlier)
    assert snapshot(tmp_path / "forwards") == snapshot(tmp_path / "backwards")
    assert (101, "mia", "Mimi", 0) in [row[:4] for row in snapshot(tmp_path / "forwards")["authors"]]


def test_importing_again_adds_nothing(tmp_path: Path) -> None:
    path = stored(tmp_path, PLAIN)
    first, second = imported(tmp_path, path, path)
    assert (first.added.new, second.added.new, second.added.changed, second.added.known) == (5, 0, 0, 5)


def test_messages_older_than_discord_get_ids_of_their_own(tmp_path: Path) -> None:
    """Two alike, several in one millisecond, one from before 2015."""
    old = [
        item(1, "so old", timestamp="2009-05-01T10:00:00+00:00"),
        item(2, "older still", timestamp="2008-05-01T10:00:00+00:00"),
        *(item(3, text) for text in ("a", "b", "same", "same")),
        item(3, "same", author=user(102, "tom")),
        item(4, "later"),
    ]
    content = written(root([{**message, "id": "0"} for message in old]))
    path = stored(tmp_path, content)
    messages, export = parsed(path)
    assert export.faults == []
    assert len({message.id for message in messages}) == len(old)
    in_order = sorted(messages, key=lambda message: message.id)
    assert all(a.created_at <= b.created_at for a, b in pairwise(in_order))
    assert [message.id < 0 for message in messages[:3]] == [True, True, False]
    assert parsed(path)[0] == messages

    first, second = imported(tmp_path, path, path)
    assert (first.added.new, second.added.new) == (len(old), 0)
    backwards = stored(tmp_path, written(root([{**message, "id": "0"} for message in old[::-1]])), "backwards.json")
    (third,) = imported(tmp_path, backwards)
    assert third.added.new == 0


def test_messages_older_than_discord_differ_between_channels(tmp_path: Path) -> None:
    other = {**EXPORT["channel"], "id": "21"}
    twins = [root([{**item(1), "id": "0"}], channel=channel) for channel in (EXPORT["channel"], other)]
    paths = [stored(tmp_path, written(twin), f"{number}.json") for number, twin in enumerate(twins)]
    assert [done.added.new for done in imported(tmp_path, *paths)] == [1, 1]


def test_a_text_that_looks_like_an_export_is_only_a_text(tmp_path: Path) -> None:
    texts = [PLAIN.decode(), json.dumps(PLAIN.decode()), '"messages": [{"id": "1", "type": "Default"}]}', '\\"', "\\"]
    messages, export = parsed(stored(tmp_path, written(root([item(n, text) for n, text in enumerate(texts)]))))
    assert export.faults == []
    assert [message.content for message in messages] == texts


def test_half_a_surrogate_pair_is_shown_as_a_question_mark(tmp_path: Path) -> None:
    content = written(root([item(1, "half \ud83d here"), item(2, "whole 🫖")]), ascii_only=True)
    messages, export = parsed(stored(tmp_path, content))
    assert export.faults == []
    assert [message.content for message in messages] == ["half ? here", "whole 🫖"]
    assert imported(tmp_path, stored(tmp_path, content))[0].added.new == 2


def test_sorted_keys_are_read_in_small_files_and_reported_in_large_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a message does not begin with its id and type, a piece as long as the longest is all that is tried."""
    export = root([item(number, "x" * 900) for number in range(4000)])
    path = stored(tmp_path, json.dumps(export, sort_keys=True).encode())
    messages, read = parsed(path)
    assert (len(messages), read.faults) == (4000, [])
    monkeypatch.setattr(json_items, "LONGEST", 1 << 20)
    messages, read = parsed(path)
    assert 0 < len(messages) < 4000
    assert read.faults


def test_an_endless_piece_costs_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_items, "LONGEST", 1 << 20)
    garbage = item(3, "y" * (5 << 20))
    export = root([item(1), item(2), garbage, item(4), item(5)])
    messages, read = parsed(stored(tmp_path, written(export)))
    assert [message.created_at for message in messages] == [NOON_MS + n * 60_000 for n in (1, 2, 4, 5)]
    assert read.faults


NO_CHANNELS = {
    "no guild": written({"channel": {"id": "1", "name": "x"}, "messages": []}),
    "no channel": written({"guild": {"id": "1", "name": "x"}, "messages": []}),
    "no messages": b'{"guild": {"id": "1", "name": "x"}}',
    "guild is text": written({**EXPORT, "guild": "Tea house"}),
    "guild is null": written({**EXPORT, "guild": None}),
    "channel id too large": written({**EXPORT, "channel": {**EXPORT["channel"], "id": str(1 << 64)}}),
    "guild id is no number": written({**EXPORT, "guild": {"id": "ten", "name": "x"}}),
    "category is no number": written({**EXPORT, "channel": {**EXPORT["channel"], "categoryId": ["x"]}}),
    "time is no time": written({**EXPORT, "exportedAt": "yesterday"}),
    "time is a number": written({**EXPORT, "exportedAt": 5}),
    "other JSON": b'{"messages": {"a": 1}}',
}


@pytest.mark.parametrize("content", NO_CHANNELS.values(), ids=NO_CHANNELS)
def test_an_export_that_does_not_name_its_channel_is_told_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = stored(tmp_path, content)
    with pytest.raises(NotAnExport) as caught:
        imported(tmp_path / "data", path)
    assert str(caught.value) == f"{path} does not say of which channel it is: export the channel again, as JSON"
    assert snapshot(tmp_path / "data")["channels"] == []


def test_odd_names_in_the_head_are_kept_as_text(tmp_path: Path) -> None:
    export = root([], channel={**EXPORT["channel"], "name": 5, "topic": ["a"]})
    (done,) = imported(tmp_path, stored(tmp_path, written(export)))
    (channel,) = done.channels
    assert channel == replace(channel, name="5", topic="['a']")
