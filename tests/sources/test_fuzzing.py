"""Files that someone, or something, meddled with: no traceback, no hang, and what is still whole comes through.

Three ways to meddle: bytes anywhere, bytes within known messages (so that it is known which others must come), and
values of the wrong kind within valid JSON. SUSUSBOT_FUZZ=20 tries twenty times as much.
"""

import json
import os
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sususbot.archive.archive import Archive
from sususbot.errors import NotAnExport
from sususbot.messages import Message
from sususbot.sources.formats import open_source
from sususbot.sources.ingest import ingest
from tests.sources.exports import messages_of
from tests.sources.formats import CHAT, FILES, Sample, as_package, iso, lines, made, package_csv, zipped

TIMES: Final = int(os.environ.get("SUSUSBOT_FUZZ", "1"))
# Only a hang takes so long.
SECONDS: Final = 30.0

TOKENS: Final = (
    b"\x00", b"\xff", b"\xef\xbb\xbf", b'"', b"\\", b"\\ud83d", b"\\u0000", b"{", b"}", b"[", b"]", b",", b":", b"\n",
    b"\r\n", b"[" * 3000, b"{" * 3000, b"9" * 500, b"-", b"1e999", b"NaN", b"null", b"\x1f\x8b", b"PK\x03\x04",
    b"PK\x01\x02", b"PK\x05\x06", b'"messages": [', b'{"id": "1", "type":', b'{"kind":"message"}', b'"1","',
    b"\xed\xa0\x80",
)  # fmt: skip
VALUES: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1.5, 1e308, 10**30, -(1 << 63), (1 << 63) - 1, 1 << 63, "", "x", "0", "-5", "9" * 500,
    "\ud800", "a\x00b", "2024-03-03", "9999-12-31T23:59:59.999+00:00", "0001-01-01T00:00:00+14:00", [], {}, [[]],
    [None], {"id": {}}, ["x"], [1, 2, 3], "Reply", 19, 99, 1 << 40, "message", "tombstone", "erased", "consent",
)  # fmt: skip


def fuzzed(examples: int) -> Callable[[Any], Any]:
    return settings(
        max_examples=examples * TIMES,
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,
            HealthCheck.large_base_example,
        ],
    )


@st.composite
def meddled(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes flipped, cut out, put in, doubled or swapped, in up to four places."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        length = draw(st.integers(0, 40))
        piece = draw(
            st.one_of(
                st.sampled_from(TOKENS),
                st.binary(max_size=4),
                st.just(content[at : at + length] * 2),
                st.just(content[: draw(st.integers(0, 60))]),
            )
        )
        content = content[:at] + piece + content[at + draw(st.sampled_from((0, len(piece), length))) :]
        if draw(st.integers(0, 9)) == 0:
            content = content[: draw(st.integers(0, len(content)))]
    return content


class Read(NamedTuple):
    """The messages of a file, and whether anything was told of what it does not give."""

    messages: list[Message]
    told: bool


class Reader:
    """Reads files one after another and takes each into one archive."""

    def __init__(self, folder: Path, archive: Archive, name: str) -> None:
        self._folder = folder
        self._archive = archive
        self._name = name

    def read(self, content: bytes) -> Read | None:
        """What a file gives; None where it is no export any more."""
        path = made(self._folder, content, self._name)
        begun = time.perf_counter()
        try:
            source = open_source(path)
            messages = messages_of(source)
            ingest(self._archive, path)
        except NotAnExport:
            return None
        assert time.perf_counter() - begun < SECONDS
        for fault in source.faults:
            assert fault.byte >= 0
            assert fault.number >= 1
            assert str(fault)
        return Read(messages, bool(source.faults or source.skipped))


every_source = pytest.mark.parametrize("sample", FILES.values(), ids=FILES)


@every_source
def test_bytes_anywhere_may_be_wrong(tmp_path: Path, sample: Sample) -> None:
    with Archive(tmp_path / "data") as archive:
        reader = Reader(tmp_path, archive, sample.name)
        whole = reader.read(sample.content)
        assert whole is not None

        @fuzzed(60)
        @given(content=meddled(sample.content))
        def any_bytes(content: bytes) -> None:
            found = reader.read(content)
            if found is None:
                return
            # A zip has checksums to know by, an export the number of its messages; rows and lines are just not there.
            if sample.reader == "DataPackage":
                assert found.told or found.messages == whole.messages
            if sample.reader == "DiscordExport":
                assert found.told or len(found.messages) >= len(whole.messages)

        any_bytes()
        assert archive.check() == []


@st.composite
def wounded(draw: st.DrawFn, sample: Sample) -> tuple[bytes, frozenset[int], int]:
    """A file with some of its messages spoilt; which, and how many of them left no trace at all."""
    assert sample.spans
    hurt = draw(st.sets(st.integers(0, len(sample.spans) - 1), min_size=1, max_size=3))
    content, end, traceless = b"", 0, 0
    for number, (start, stop) in enumerate(sample.spans):
        content += sample.content[end:start]
        inside = sample.content[start:stop]
        if number in hurt:
            inside = draw(meddled(inside))
            traceless += not inside.strip(b" \r\n,")
        content += inside
        end = stop
    return content + sample.content[end:], frozenset(hurt), traceless


@pytest.mark.parametrize("name", [name for name, sample in FILES.items() if sample.spans and name != "stored package"])
def test_a_spoilt_message_costs_no_other(tmp_path: Path, name: str) -> None:
    sample = FILES[name]
    with Archive(tmp_path / "data") as archive:
        reader = Reader(tmp_path, archive, sample.name)
        whole = reader.read(sample.content)
        assert whole is not None

        @fuzzed(100)
        @given(wounded(sample))
        def any_wound(wound: tuple[bytes, frozenset[int], int]) -> None:
            content, hurt, traceless = wound
            found = reader.read(content)
            if found is None:
                # Nothing is left by which lines of the API could be known.
                assert name == "api"
                assert 0 in hurt
                return
            texts = [message.content for message in found.messages]
            for number, message in enumerate(whole.messages):
                if number not in hurt:
                    assert message.content in texts
            assert found.told or len(found.messages) >= len(whole.messages) - traceless

        any_wound()
        assert archive.check() == []


def paths(value: Any, so_far: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where every value within a value is."""
    below: list[tuple[Any, ...]] = [so_far]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        below += paths(inner, (*so_far, key))
    return below


@st.composite
def confused(draw: st.DrawFn, value: Any) -> Any:
    """A value with some of what is in it replaced, left out or renamed."""
    copy = json.loads(json.dumps(value))
    for _ in range(draw(st.integers(1, 3))):
        places = [path for path in paths(copy) if path]
        if not places:
            return copy
        *above, last = draw(st.sampled_from(places))
        inside = copy
        for key in above:
            inside = inside[key]
        match draw(st.integers(0, 4)):
            case 0:
                del inside[last]
            case 1 if isinstance(inside, dict):
                inside[draw(st.sampled_from(("kind", "id", "messages", "ID", "guild", "x", "deleted_at")))] = (
                    inside.pop(last)
                )
            case _:
                inside[last] = deepcopy(draw(st.sampled_from(VALUES)))
    return copy


ROOT: Final = json.loads(FILES["export"].content)
DUMP: Final = [json.loads(line) for line in FILES["dump"].content.splitlines()]
API: Final = [json.loads(line) for line in FILES["api"].content.splitlines()]
ROWS: Final = [
    {"ID": said.id, "Timestamp": iso(said.at)[:19].replace("T", " "), "Contents": said.text, "Attachments": ""}
    for said in CHAT
]
PACKAGE: Final = {
    "a/user.json": {"id": "101", "username": "mia", "global_name": "Mia"},
    "m/c20/channel.json": {"id": "20", "type": 0, "name": "kitchen", "guild": {"id": "10", "name": "Tea house"}},
    "m/c20/messages.json": ROWS,
    "m/c21/channel.json": {"id": "21", "type": 0, "name": "hall", "guild": {"id": "10", "name": "Tea house"}},
    "m/c21/messages.json": ROWS[:2],
}
CONFUSED: Final[dict[str, tuple[Any, Callable[[Any], bytes]]]] = {
    "export": (ROOT, lambda root: json.dumps(root, indent=2).encode()),
    "dump": (DUMP, lambda items: lines(items, ascii_only=True)),
    "api": (API, lambda items: lines(items, ascii_only=True)),
    "package": (
        PACKAGE,
        lambda files: zipped({name: json.dumps(value) for name, value in files.items()}),
    ),
}


@pytest.mark.parametrize("name", CONFUSED)
def test_values_may_be_of_any_kind(tmp_path: Path, name: str) -> None:
    value, written = CONFUSED[name]
    with Archive(tmp_path / "data") as archive:
        reader = Reader(tmp_path, archive, f"confused {name}")

        @fuzzed(125)
        @given(confused(value))
        def any_value(value: Any) -> None:
            reader.read(written(value))

        any_value()
        assert archive.check() == []


@pytest.mark.parametrize("row", range(len(ROWS)))
def test_a_row_of_the_wrong_kind_costs_no_other(tmp_path: Path, row: int) -> None:
    """In a package as JSON and, below, as CSV, where a text of several lines may hold what looks like a row."""

    @fuzzed(40)
    @given(st.sampled_from(sorted(ROWS[0])), st.sampled_from(VALUES))
    def any_value(key: str, value: Any) -> None:
        rows = [{**item, key: value} if number == row else item for number, item in enumerate(ROWS)]
        content = zipped({**PACKAGE, "m/c20/messages.json": json.dumps(rows)})
        messages = messages_of(open_source(made(tmp_path, content, "p.zip")))
        assert len(messages) >= len(ROWS) - 1 + 2

    any_value()
    table = package_csv(ROWS)
    at = table.index(str(ROWS[row]["ID"]))
    spoilt = table[:at] + "?" + table[at + 1 :]
    content = zipped({**PACKAGE, "m/c20/messages.json": b"[]", "m/c20/messages.csv": spoilt})
    source = open_source(made(tmp_path, content, "p.zip"))
    texts = [message.content for message in messages_of(source)]
    assert [said.text for number, said in enumerate(CHAT) if number != row and said.text not in texts] == []
    assert len(source.faults) >= 1


def test_a_package_may_be_anything_that_is_packed(tmp_path: Path) -> None:
    with Archive(tmp_path / "data") as archive:
        reader = Reader(tmp_path, archive, "p.zip")

        @fuzzed(100)
        @given(st.sampled_from(sorted(PACKAGE)), st.binary(max_size=200) | st.sampled_from(TOKENS))
        def any_content(name: str, content: bytes) -> None:
            reader.read(zipped({**PACKAGE, name: content}))

        any_content()
        assert reader.read(as_package(list(CHAT))) is not None
        assert archive.check() == []
