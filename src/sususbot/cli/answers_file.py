"""A file of members' answers (CSV with a heading, or JSON lines) to statements; all of it, or a list of what is wrong.

Columns: `author` (or `id`, or `name`), `learn`, `remember`, `quote` (yes, no, or empty for not spoken of) or `answer`
for all three, `by` (member or owner), `date`, `way`. What is not said: by the owner, on the day the file was written,
by this file. So the same file read twice says nothing new.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from sususbot.archive.archive import now_ms
from sususbot.archive.consents import PURPOSES, Speaker, Statement
from sususbot.cli.people import People
from sususbot.errors import ConsentError
from sususbot.messages import iso_ms

_WHO: Final = ("author", "id", "name")
_COLUMNS: Final = (*_WHO, "answer", *PURPOSES, "by", "date", "way")
_WORDS: Final = {"yes": True, "y": True, "true": True, "1": True, "no": False, "n": False, "false": False, "0": False}


def read(path: Path, people: People, complain: Callable[[str], None]) -> list[Statement]:
    """All statements of a file. Raises ConsentError when a line cannot be read, after complaining of each such line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConsentError(f"{path} is not UTF-8 text: save it as UTF-8") from error
    except OSError as error:
        raise ConsentError(f"{path} cannot be read ({error.strerror}): check the path") from error
    reader = _Reader(people, round(path.stat().st_mtime * 1000), f"file {path.name}")
    rows = _json_lines(text) if text.lstrip().startswith("{") else _csv_lines(text)
    statements: list[Statement] = []
    faults = 0
    for number, row in rows:
        try:
            statements.append(reader.statement(row))
        except ConsentError as error:
            faults += 1
            complain(f"line {number}: {error}")
    if faults:
        lines = "1 line" if faults == 1 else f"{faults} lines"
        raise ConsentError(f"{lines} of {path} cannot be read; nothing was imported: mend this and import it again")
    if not statements:
        raise ConsentError(f"{path} holds no answers: write a heading,  author,answer,by,date,way  and a line each")
    return statements


class _Reader:
    def __init__(self, people: People, written_at: int, way: str) -> None:
        self._people = people
        self._written_at = written_at
        self._way = way

    def statement(self, row: "Mapping[str, Any] | str") -> Statement:
        if isinstance(row, str):
            raise ConsentError(row)
        unknown = [str(name) for name in row if name not in _COLUMNS]
        if unknown:
            raise ConsentError(f"{unknown[0]} is no column; there are {', '.join(_COLUMNS)}")
        who = next((str(row[name]) for name in _WHO if row.get(name) not in (None, "")), "")
        if not who.strip():
            raise ConsentError("it does not say whose answer it is")
        answers = {purpose: _answer(purpose, row.get(purpose)) for purpose in PURPOSES}
        for_all = _answer("answer", row.get("answer"))
        answers = {purpose: for_all if answer is None else answer for purpose, answer in answers.items()}
        if all(answer is None for answer in answers.values()):
            raise ConsentError("it holds no answer")
        return Statement(
            self._people.find(who),
            _speaker(row.get("by")),
            str(row.get("way") or self._way),
            self._moment(row.get("date")),
            learn=answers["learn"],
            remember=answers["remember"],
            quote=answers["quote"],
        )

    def _moment(self, value: object) -> int:
        if value in (None, ""):
            return self._written_at
        try:
            at = iso_ms(str(value).strip())
        except (ValueError, OverflowError) as error:
            raise ConsentError(f"{value} is no date: write it as 2026-03-14") from error
        if at > now_ms():
            raise ConsentError(f"{value} lies in the future")
        return at


def _answer(name: str, value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    word = str(value).strip().casefold()
    if not word:
        return None
    if word not in _WORDS:
        raise ConsentError(f"{name} is {str(value).strip()!r}: write yes or no")
    return _WORDS[word]


def _speaker(value: object) -> Speaker:
    word = str(value or "owner").strip().casefold()
    if word == "member":
        return "member"
    if word == "owner":
        return "owner"
    raise ConsentError(f"by is {str(value).strip()!r}: write member or owner")


def _json_lines(text: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    """(line number, object) or what is wrong with the line."""
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except ValueError:
            yield number, "it is no JSON"
            continue
        yield number, row if isinstance(row, dict) else "it is no JSON object"


def _csv_lines(text: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    heading: list[str] | None = None
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, f"it is no CSV ({error})"
            return
        if not any(cell.strip() for cell in cells):
            continue
        if heading is None:
            heading = [cell.strip().casefold() for cell in cells]
            if fault := _heading_fault(heading):
                yield reader.line_num, fault
                return
            continue
        if len(cells) > len(heading):
            yield reader.line_num, f"it has {len(cells)} cells under {len(heading)} headings"
            continue
        yield reader.line_num, dict(zip(heading, cells, strict=False))


def _heading_fault(heading: list[str]) -> str | None:
    unknown = [name for name in heading if name not in _COLUMNS]
    if unknown:
        return f"{unknown[0] or 'an empty heading'} is no column; there are {', '.join(_COLUMNS)}"
    double = [name for name in heading if heading.count(name) > 1]
    return f"the column {double[0]} is there twice" if double else None
