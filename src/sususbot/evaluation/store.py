"""Evaluations on disk.

reports/eval-NAME/           manifest.json, report.json, report.html: figures, nobody's words
        eval-NAME.examples/  manifest.json, examples.json, report.html with the examples

The manifest of the examples names everybody whose words they may show, so that they go when one of them says no, and
the figures stay; it is written before anything else. A folder without a leading point is whole.
"""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from sususbot.artifacts import EVALUATION, REPORTS, flush_folder, sync, write_manifest
from sususbot.errors import EvaluationError, ReportMissing
from sususbot.evaluation.evaluation import FORMAT, Report
from sususbot.in_place import put

REPORT: Final = "report.json"
PAGE: Final = "report.html"
EXAMPLES: Final = "examples.json"
# What no evaluation's own name may end with.
ENDING: Final = ".examples"

Pages = tuple[str, str]
"""A report's page without its examples, and with them."""


def folder_of(data: Path, name: str) -> Path:
    return data / REPORTS / f"{EVALUATION}{name}"


def examples_of(data: Path, name: str) -> Path:
    return data / REPORTS / f"{EVALUATION}{name}{ENDING}"


def page_of(data: Path, name: str) -> Path:
    """The page with examples as long as these are there, else the one without."""
    whole = examples_of(data, name) / PAGE
    return whole if whole.is_file() else folder_of(data, name) / PAGE


def names(data: Path) -> list[str]:
    """Of all that are whole, the newest last."""
    found = [path.parent for path in (data / REPORTS).glob(f"{EVALUATION}*/{REPORT}")]
    return [path.name.removeprefix(EVALUATION) for path in sorted(found, key=lambda path: (_made(path), path.name))]


def load(data: Path, name: str) -> Report:
    """With its examples, where these are still there. Raises ReportMissing."""
    path = folder_of(data, name) / REPORT
    try:
        values = orjson.loads(path.read_bytes())
        return Report.from_json({**values, "examples": [*values["examples"], *_examples(data, name)]})
    except FileNotFoundError as error:
        there = names(data)
        raise ReportMissing(
            f"there is no evaluation {name}: "
            + (f"there are {', '.join(there[-8:])}" if there else "make one with  sususbot eval")
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReportMissing(
            f"{path} cannot be read ({error}): remove its folder and run  sususbot eval  again"
        ) from error


def latest(data: Path) -> Report | None:
    """The newest that can be read."""
    for name in reversed(names(data)):
        try:
            return load(data, name)
        except ReportMissing:
            continue
    return None


def free_name(data: Path, wanted: str) -> str:
    """The name, or the first like it that no evaluation has."""
    taken = set(names(data))
    return next(
        name
        for number in range(len(taken) + 1)
        if (name := f"{wanted}-{number + 1}" if number else wanted) not in taken
    )


def keep(data: Path, report: Report, pages: Pages | None, authors: Iterable[int]) -> Path:
    """Write it, in place of one of the same name; `authors` are those whose words examples may show. Its folder."""
    folder = folder_of(data, report.name)
    values = report.as_json()
    plain, whole = (None, None) if pages is None else pages
    try:
        figures = {
            REPORT: _json({**values, "examples": []}),
            **({} if plain is None else {PAGE: plain.encode()}),
        }
        _put(folder, _manifest(report, ()), figures)
        drop_examples(data, report.name)
        if report.examples:
            shown = {EXAMPLES: _json(values["examples"]), **({} if whole is None else {PAGE: whole.encode()})}
            _put(examples_of(data, report.name), _manifest(report, authors), shown)
    except OSError as error:
        raise EvaluationError(
            f"the report cannot be written to {folder} ({error.strerror}): make room there, or choose another --data"
        ) from error
    return folder


def drop_examples(data: Path, name: str) -> bool:
    """Take the words away, and leave the figures; whether there were any."""
    folder = examples_of(data, name)
    there = folder.exists()
    if there:
        shutil.rmtree(folder)
    return there


def drop(data: Path, name: str) -> None:
    """Take a report away."""
    shutil.rmtree(folder_of(data, name), ignore_errors=True)
    shutil.rmtree(examples_of(data, name), ignore_errors=True)


def _put(folder: Path, manifest: dict[str, Any], files: Mapping[str, bytes]) -> None:
    aside = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    write_manifest(aside, manifest)
    for name, content in files.items():
        _write(aside / name, content)
    shutil.rmtree(folder, ignore_errors=True)
    put(aside, folder)
    flush_folder(folder.parent)


def _examples(data: Path, name: str) -> list[Any]:
    try:
        return list(orjson.loads((examples_of(data, name) / EXAMPLES).read_bytes()))
    except FileNotFoundError:
        return []


def _json(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)


def _manifest(report: Report, authors: Iterable[int]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "made_by": report.made_by,
        "date": report.date,
        "corpus": report.corpus,
        "systems": list(report.systems),
        "seed": report.seed,
        "authors": sorted(authors),
    }


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        sync(file)


def _made(folder: Path) -> int:
    return (folder / REPORT).stat().st_mtime_ns
