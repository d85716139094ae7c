"""Evaluations on disk: data/reports/eval-NAME with manifest.json, report.json and report.html.

The manifest names everybody whose words a report may show, so that it goes when one of them says no; it is written
before anything else. A folder without a leading point is whole.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import orjson

from sususbot.artifacts import EVALUATION, REPORTS, flush_folder, sync, write_manifest
from sususbot.errors import EvaluationError, ReportMissing
from sususbot.evaluation.evaluation import FORMAT, Report

REPORT: Final = "report.json"
PAGE: Final = "report.html"


def folder_of(data: Path, name: str) -> Path:
    return data / REPORTS / f"{EVALUATION}{name}"


def names(data: Path) -> list[str]:
    """Of all that are whole, the newest last."""
    found = [path.parent for path in (data / REPORTS).glob(f"{EVALUATION}*/{REPORT}")]
    return [path.name.removeprefix(EVALUATION) for path in sorted(found, key=lambda path: (_made(path), path.name))]


def load(data: Path, name: str) -> Report:
    """Raises ReportMissing."""
    path = folder_of(data, name) / REPORT
    try:
        return Report.from_json(orjson.loads(path.read_bytes()))
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


def keep(data: Path, report: Report, page: str | None, authors: Iterable[int]) -> Path:
    """Write it, in place of one of the same name; `authors` are those whose words it may show. Its folder."""
    folder = folder_of(data, report.name)
    aside = folder.with_name(f".{folder.name}.new")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        write_manifest(aside, _manifest(report, authors))
        _write(aside / REPORT, orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2))
        if page is not None:
            _write(aside / PAGE, page.encode())
        shutil.rmtree(folder, ignore_errors=True)
        aside.replace(folder)
        flush_folder(folder.parent)
    except OSError as error:
        raise EvaluationError(
            f"the report cannot be written to {folder} ({error.strerror}): make room there, or choose another --data"
        ) from error
    return folder


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
