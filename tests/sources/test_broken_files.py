"""Files that are not whole: what is whole is taken in, the rest is reported, and a whole file then completes it.

Cut at every byte, cut while packed, garbled anywhere, left unclosed by an exporter that failed.
"""

import gzip
import json
import random
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sususbot.archive.archive import Archive
from sususbot.errors import NotAnExport
from sususbot.messages import Message
from sususbot.sources import byte_stream
from sususbot.sources.discord_export import DiscordExport
from sususbot.sources.ingest import ingest
from tests.archive.making import snapshot
from tests.sources.exports import Json, imported, item, parsed, root, spans, stored, varied, written

EXPORT = root(varied())
INDENTED, MINIFIED = written(EXPORT), written(EXPORT, indent=None)
TEXTS = {"indented": INDENTED, "minified": MINIFIED}
MANY = root([item(number, random.Random(number).randbytes(60).hex()) for number in range(400)])


def whole_before(text: bytes, cut: int) -> int:
    """How many messages of a file end at or before this byte."""
    return sum(end <= cut for _, end in spans(text))


def list_begins(text: bytes) -> int:
    """The first byte at which a cut file can be known as an export."""
    return text.rindex(b"[", 0, spans(text)[0][0]) + 1


def all_of(text: bytes, folder: Path) -> list[Message]:
    messages, export = parsed(stored(folder, text, "whole.json"))
    assert export.faults == []
    return messages


def assert_reported(export: DiscordExport, length: int, count: int) -> None:
    """A place in the file, a number from 1, and a reason."""
    assert export.faults
    for fault in export.faults:
        assert 0 <= fault.byte <= length
        assert 1 <= fault.number <= count + 1
        assert str(fault) == f"byte {fault.byte:,}, message {fault.number:,}: {fault.reason}"


def test_a_file_cut_at_any_byte_gives_all_that_is_whole(tmp_path: Path) -> None:
    whole = all_of(INDENTED, tmp_path)
    for cut in range(len(INDENTED)):
        path = stored(tmp_path, INDENTED[:cut])
        if cut < list_begins(INDENTED):
            with pytest.raises(NotAnExport):
                parsed(path)
            continue
        messages, export = parsed(path)
        assert messages == whole[: whole_before(INDENTED, cut)]
        assert_reported(export, cut, len(whole))


def test_a_cut_that_takes_only_white_space_is_no_fault(tmp_path: Path) -> None:
    for cut in range(4):
        messages, export = parsed(stored(tmp_path, (INDENTED + b" \r\n\n")[: len(INDENTED) + cut]))
        assert (len(messages), export.faults) == (5, [])


def test_files_cut_at_every_byte_add_up_to_the_whole(tmp_path: Path) -> None:
    """Each of the growing files adds just what it has more, and what is there is what is whole."""
    clean = tmp_path / "clean"
    imported(clean, stored(tmp_path, MINIFIED))
    with Archive(tmp_path / "cut") as archive:
        for cut in range(list_begins(MINIFIED), len(MINIFIED) + 1):
            done = ingest(archive, stored(tmp_path, MINIFIED[:cut]))
            assert archive.counts().messages == done.added.new + done.added.known == whole_before(MINIFIED, cut)
            assert done.added.changed == 0
        assert archive.check() == []
    assert snapshot(tmp_path / "cut") == snapshot(clean)


@pytest.mark.parametrize("part", range(1, 12))
def test_a_whole_file_completes_what_a_cut_one_gave(tmp_path: Path, part: int) -> None:
    whole, cut = stored(tmp_path, INDENTED), stored(tmp_path, INDENTED[: len(INDENTED) * part // 12], "cut.json")
    imported(tmp_path / "clean", whole)
    try:
        (first,) = imported(tmp_path / "data", cut)
        known = first.added.new
    except NotAnExport:
        known = 0
    second, third = imported(tmp_path / "data", whole, whole)
    assert (second.added.known, second.added.new, second.added.changed) == (known, 5 - known, 0)
    assert third.added.new == 0
    assert snapshot(tmp_path / "data") == snapshot(tmp_path / "clean")


def test_a_packed_file_cut_at_every_seventh_byte_gives_all_that_is_whole(tmp_path: Path) -> None:
    packed = gzip.compress(INDENTED, mtime=0)
    whole = all_of(INDENTED, tmp_path)
    for cut in range(0, len(packed), 7):
        unpacked = zlib.decompressobj(31).decompress(packed[:cut])
        path = stored(tmp_path, packed[:cut], "cut.json.gz")
        if len(unpacked) < list_begins(INDENTED):
            with pytest.raises(NotAnExport):
                parsed(path)
            continue
        messages, export = parsed(path)
        assert messages == whole[: whole_before(INDENTED, len(unpacked))]
        assert_reported(export, len(unpacked), len(whole))
        assert any(fault.reason == "the gzip file is cut off here" for fault in export.faults)


@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_a_packed_file_gives_what_stands_before_a_cut_or_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: float
) -> None:
    """The same wherever the pieces in which it is read end; then the whole file completes it."""
    text = written(MANY)
    packed = bytearray(gzip.compress(text, mtime=0))
    at = int(len(packed) * part)
    cut = bytes(packed[:at])
    packed[at : at + 40] = bytes(40)
    readable = len(zlib.decompressobj(31).decompress(cut))
    whole = all_of(text, tmp_path)
    for chunk in (1 << 20, 1000):
        monkeypatch.setattr(byte_stream, "_CHUNK", chunk)
        for content, reason in (
            (cut, "the gzip file is cut off here"),
            (bytes(packed), "the gzip file is damaged here"),
        ):
            path = stored(tmp_path, content, "damaged.json.gz")
            messages, export = parsed(path)
            certain = whole_before(text, readable)
            assert certain - 3 <= len(messages) <= certain + 3
            assert messages[: certain - 3] == whole[: certain - 3]
            assert export.faults[-1].reason == reason


def test_a_packed_file_with_a_wrong_checksum_gives_all_and_is_reported(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(INDENTED))
    packed[-8] ^= 1
    messages, export = parsed(stored(tmp_path, bytes(packed)))
    assert messages == all_of(INDENTED, tmp_path)
    assert [fault.reason for fault in export.faults] == ["the gzip file is damaged here"]


def test_something_else_after_a_packed_file_is_reported(tmp_path: Path) -> None:
    messages, export = parsed(stored(tmp_path, gzip.compress(INDENTED) + b"something else"))
    assert len(messages) == 5
    assert [fault.reason for fault in export.faults] == ["the gzip file is damaged here"]


def check_garbled(text: bytes, at: int, byte: int, whole: list[Message], folder: Path, archive: Archive) -> None:
    garbled = text[:at] + bytes([byte]) + text[at + 1 :]
    path = stored(folder, garbled, "garbled.json")
    try:
        messages, export = parsed(path)
    except NotAnExport:
        assert at < spans(text)[0][0]
        return
    ingest(archive, path)
    if at < spans(text)[0][0]:
        # A garbled name or id in the head may still be a name or an id.
        assert len(messages) == len(whole)
        return
    touched = [number for number, (start, end) in enumerate(spans(text)) if start <= at < end]
    untouched = [message for number, message in enumerate(whole) if number not in touched]
    assert [message for message in messages if message in untouched] == untouched
    # A message that was touched is there (what was garbled is no concern of ours, or still makes sense) or reported.
    assert len(messages) == len(whole) or export.faults
    assert len(messages) <= len(whole)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_garbled_byte_costs_one_message_at_most(tmp_path: Path, text: bytes) -> None:
    whole = all_of(text, tmp_path)

    with Archive(tmp_path) as archive:

        @settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(at=st.integers(0, len(text) - 1), byte=st.integers(0, 255) | st.sampled_from(b'"\\{}[],: 0\n'))
        @example(at=0, byte=0)
        @example(at=len(text) - 1, byte=0)
        def any_byte(at: int, byte: int) -> None:
            check_garbled(text, at, byte, whole, tmp_path, archive)

        any_byte()
        assert archive.check() == []


@pytest.mark.parametrize("byte", [b"\xff", b"\x00", b"x", b'"', b"{", b"}", b"]", b","])
def test_any_place_can_be_garbled(tmp_path: Path, byte: bytes) -> None:
    whole = all_of(MINIFIED, tmp_path)
    with Archive(tmp_path) as archive:
        for at in range(byte[0] % 17, len(MINIFIED), 17):
            check_garbled(MINIFIED, at, byte[0], whole, tmp_path, archive)
        assert archive.check() == []


def test_damaged_text_is_not_taken_in_so_that_the_whole_file_brings_it(tmp_path: Path) -> None:
    damaged = INDENTED.replace("«tea»".encode(), b"\xab\xff\xfetea\xff")
    first, second = imported(tmp_path, stored(tmp_path, damaged, "damaged.json"), stored(tmp_path, INDENTED))
    assert first.added.new == 4
    assert [(fault.byte, fault.number, fault.reason) for fault in first.faults] == [
        (spans(INDENTED)[0][0], 1, "cut off or garbled")
    ]
    assert (second.added.new, second.added.known) == (1, 4)
    imported(tmp_path / "clean", stored(tmp_path, INDENTED))
    assert snapshot(tmp_path) == snapshot(tmp_path / "clean")


NOT_QUITE_JSON = {
    "NaN": INDENTED.replace(b'"color": null', b'"color": NaN', 1),
    "a number beyond all measure": INDENTED.replace(b'"color": null', b'"color": ' + b"9" * 6000, 1),
    "brackets without end": INDENTED.replace(b'"color": null', b'"color": ' + b"[" * 100_000, 1),
    "a deep well": INDENTED.replace(b'"color": null', b'"color": ' + b"[" * 2000 + b"]" * 2000, 1),
    "a raw line break": INDENTED.replace(b"second line", b"second\nline"),
}


@pytest.mark.parametrize("text", NOT_QUITE_JSON.values(), ids=NOT_QUITE_JSON)
def test_what_is_not_quite_json_costs_one_message(tmp_path: Path, text: bytes) -> None:
    (done,) = imported(tmp_path, stored(tmp_path, text))
    assert done.added.new == 4
    assert [(fault.byte, fault.number) for fault in done.faults] == [(spans(INDENTED)[0][0], 1)]


@pytest.mark.parametrize("keep", [1, 3, 6, 10, 13, 20])
def test_a_message_left_unclosed_before_a_closed_root_is_reported(tmp_path: Path, keep: int) -> None:
    """What an exporter leaves that failed within a message: its writer closes the list and the root."""
    lines = json.dumps(item(3, "never finished"), indent=2).splitlines()[:keep]
    unclosed = "\n".join(f"    {line}" for line in lines)
    text = INDENTED[: spans(INDENTED)[2][0]] + unclosed.strip().encode() + b'\n  ],\n  "messageCount": 3\n}'
    messages, export = parsed(stored(tmp_path, text))
    assert messages == all_of(INDENTED, tmp_path)[:2]
    assert [(fault.byte, fault.number) for fault in export.faults] == [(spans(INDENTED)[2][0], 3)]


def test_a_message_left_unclosed_among_others_costs_only_itself(tmp_path: Path) -> None:
    (_, _), (start, end), *_ = spans(INDENTED)
    text = INDENTED[: (start + end) // 2] + INDENTED[end:]
    messages, export = parsed(stored(tmp_path, text))
    whole = all_of(INDENTED, tmp_path)
    assert messages == [whole[0], *whole[2:]]
    assert [(fault.byte, fault.number) for fault in export.faults] == [(start, 2)]


def test_a_malformed_message_is_named_with_what_is_wrong(tmp_path: Path) -> None:
    export = root([item(1), {**item(2), "timestamp": "soon"}, {**item(3), "id": "9" * 30}, item(4)])
    text = written(export)
    messages, read = parsed(stored(tmp_path, text))
    assert len(messages) == 2
    assert [(fault.byte, fault.number) for fault in read.faults] == [(spans(text)[n - 1][0], n) for n in (2, 3)]
    assert all("not a message" in fault.reason for fault in read.faults)


@pytest.mark.parametrize("count", [4, 6, 0, "5", None])
def test_a_count_that_is_not_that_of_the_messages_is_reported(tmp_path: Path, count: object) -> None:
    messages, export = parsed(stored(tmp_path, written(root(varied(), messageCount=count))))
    assert len(messages) == 5
    says = f"says that it holds {count}" if count is not None else "does not say how many"
    assert [says in fault.reason for fault in export.faults] == [True]


def test_a_file_without_a_count_is_not_finished(tmp_path: Path) -> None:
    unfinished = {key: value for key, value in EXPORT.items() if key != "messageCount"}
    messages, export = parsed(stored(tmp_path, written(unfinished)))
    assert len(messages) == 5
    assert [fault.number for fault in export.faults] == [5]
    assert "does not say how many messages it holds" in export.faults[0].reason


@pytest.mark.parametrize("between", [b"", b" ", b"\n\n"])
def test_two_files_in_one_are_reported(tmp_path: Path, between: bytes) -> None:
    other: Json = root([item(number) for number in range(10, 13)])
    messages, export = parsed(stored(tmp_path, INDENTED + between + written(other)))
    assert len(messages) == 8
    assert export.faults


def test_a_file_that_is_mostly_noise_is_read_to_its_end(tmp_path: Path) -> None:
    noise = random.Random(0)
    text = written(root([item(number) for number in range(200)]))
    for _ in range(20):
        garbled = bytearray(text)
        for _ in range(80):
            garbled[noise.randrange(1000, len(text))] = noise.randrange(256)
        messages, export = parsed(stored(tmp_path, bytes(garbled)))
        assert 100 < len(messages) < 200
        assert export.faults
