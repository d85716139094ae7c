"""Telling formats apart: by content, whatever a file is called; what is none of them is told in one sentence."""

import gzip
from pathlib import Path

import pytest

from sususbot.errors import NotAnExport
from sususbot.sources.formats import FORMATS, open_source
from tests.archive.making import snapshot
from tests.sources.exports import imported, root, stored, varied, written
from tests.sources.formats import CHAT, FILES, KITCHEN_CSV, Sample, as_csv, as_export, made, mixed

PLAIN = written(root(varied()))

NO_EXPORTS = {
    "empty": b"",
    "white": b" \n\n",
    "a number": b"5",
    "an array": written(varied()),
    "an object": b"{}",
    "another object": b'{"kind": "of blue", "id": 5}',
    "root is an array": b"[" + PLAIN + b"]",
    "HTML": b"<!DOCTYPE html><html><body>Tea house</body></html>",
    "another CSV": b"id,name,date\n1,mia,2024\n",
    "UTF-16": PLAIN.decode().encode("utf-16"),
    "binary": bytes(range(256)) * 100,
    "gz of nothing": gzip.compress(b""),
    "gz of a number": gzip.compress(b"5"),
    "beginning of a gz": gzip.compress(PLAIN)[:12],
    "gz that is none": b"\x1f\x8b" + bytes(100),
    "half a surrogate pair": b'{"kind": "\\ud83d"}',
}


@pytest.mark.parametrize("content", NO_EXPORTS.values(), ids=NO_EXPORTS)
def test_what_is_no_export_is_told_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = stored(tmp_path, content)
    with pytest.raises(NotAnExport) as caught:
        imported(tmp_path / "data", path)
    assert str(caught.value) == (
        f"{path} is in none of the formats that can be imported ({', '.join(FORMATS)}): export again as JSON "
        "(DiscordChatExporter: --format Json)"
    )
    assert snapshot(tmp_path / "data")["channels"] == []


def test_a_path_that_cannot_be_read_is_told_in_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.json", stored(tmp_path, PLAIN) / "below", tmp_path / ("x" * 300)):
        with pytest.raises(NotAnExport) as caught:
            open_source(path)
        assert str(caught.value).startswith(f"{path} cannot be read (")
        assert str(caught.value).endswith("): check the path")


@pytest.mark.parametrize("sample", FILES.values(), ids=FILES)
@pytest.mark.parametrize("ending", [".txt", ".json", ".csv", ".zip", ".jsonl.gz", ""])
def test_a_format_is_known_by_its_content(tmp_path: Path, sample: Sample, ending: str) -> None:
    path = stored(tmp_path, sample.content, KITCHEN_CSV.removesuffix(".csv") + ending)
    assert type(open_source(path)).__name__ == sample.reader
    if not sample.content.startswith(b"PK"):
        path = stored(tmp_path, gzip.compress(sample.content), KITCHEN_CSV.removesuffix(".csv") + ending)
        assert type(open_source(path)).__name__ == sample.reader


def test_every_format_has_a_sample_that_goes_through_all_tests() -> None:
    assert {sample.reader for sample in FILES.values()} == {place.split(":")[1] for place in FORMATS.values()}


def test_all_formats_go_into_one_archive(tmp_path: Path) -> None:
    done = imported(tmp_path / "data", *mixed(tmp_path))
    assert not any(result.faults for result in done)


STRAY = b'{"kind":"message"}'


def test_a_line_of_json_in_a_file_of_another_format_does_not_make_it_ours(tmp_path: Path) -> None:
    csv = as_csv(list(CHAT)).replace(b"\r\n", b"\r\n" + STRAY + b"\r\n", 1)
    assert type(open_source(made(tmp_path, csv, KITCHEN_CSV))).__name__ == "CsvExport"
    head, messages, rest = as_export(list(CHAT)).partition(b'"messages"')
    export = head + messages + rest.replace(b"[", b"[\n" + STRAY + b"\n,", 1)
    assert type(open_source(made(tmp_path, export, "kitchen.json"))).__name__ == "DiscordExport"
