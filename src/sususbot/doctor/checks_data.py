"""Checks of the data folder: archive, who was erased, index, corpora, trainings and their adapters."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from sususbot.archive.archive import FILE_NAME, Archive
from sususbot.archive.looking import look
from sususbot.artifacts import CORPORA, MANIFEST, RUNS
from sususbot.corpus.manifest import load
from sususbot.doctor.findings import Finding, number, ok, skipped, told_by, warning, wrong
from sususbot.errors import ArchiveError, CorpusError
from sususbot.forgetting import Forgetting
from sususbot.messages import DISCORD_EPOCH_MS
from sususbot.settings import Settings
from sususbot.training import runs
from sususbot.training.latest import SILENT_SECONDS

_DAY_MS: Final = 86_400_000
# Names that are shown; the rest is counted.
_SHOWN: Final = 3
# What a run has made that can be used.
_MADE: Final = ("adapter", "model")


def archive_file(data: Path) -> tuple[bool, Finding]:
    """Whether the archive can be opened without changing it, and how its file is."""
    path = data / FILE_NAME
    if not path.is_file():
        return False, skipped("archive", "nothing was imported yet", "sususbot import FILE, or sususbot backfill")
    try:
        seen = look(path)
    except ArchiveError as error:
        return False, told_by("archive", error)
    if seen.schema > seen.newest:
        told = f"{path} was written by a newer sususbot (schema {seen.schema}, this one knows {seen.newest})"
        return False, wrong("archive", told, "update this one")
    if seen.schema < seen.newest:
        told = f"{path} was written by an older sususbot (schema {seen.schema} of {seen.newest})"
        return False, warning("archive", told, "sususbot analyze brings it up to date, as every command does")
    return True, ok("archive", f"{path} has schema {seen.schema}, the newest")


def archive_whole(archive: Archive) -> list[Finding]:
    """SQLite's own proof, references, and what must hold of deleted and erased messages. Seconds for a million."""
    name = "archive content"
    if faults := archive.check():
        step = "stop the bot, keep a copy of the file, and import the exports again into a new --data"
        return [wrong(name, fault, step) for fault in faults]
    held = archive.counts()
    if not held.messages:
        return [skipped(name, "the archive is empty", "sususbot import FILE, or sususbot backfill")]
    return [
        ok(
            name,
            f"{number(held.messages, 'message')} ({held.deleted:,} deleted) of {number(held.authors, 'author')} in "
            f"{number(held.channels, 'channel')}, all of them whole",
        )
    ]


def erased(archive: Archive, forgetting: Forgetting) -> list[Finding]:
    """Who was erased is absent everywhere; the archive and its vectors are proven by `archive_whole`."""
    name = "erased members"
    waiting = len({*archive.erasure.unfinished(), *archive.consents.refused()})
    found = [
        wrong(name, f"still to be erased: {number(waiting, 'member')}", "sususbot index finishes it, as others do")
    ] * bool(waiting)
    if unsaid := archive.erasure.unsaying():
        told = f"still to be taken away: {number(len(unsaid), 'message')}"
        found.append(wrong(name, told, "sususbot index finishes it, as others do"))
    gone = archive.erasure.erased().keys() - set(archive.erasure.unfinished())
    if files := forgetting.naming(gone):
        told = f"{', '.join(files[:_SHOWN])} name members who were erased ({number(len(files), 'file')})"
        found.append(wrong(name, told, "delete them, or run  sususbot forget  with their id once more"))
    if found:
        return found
    told = f"of {number(len(gone), 'erased member')} no word is left" if gone else "nobody was erased"
    return [ok(name, told)]


def overdue(archive: Archive, settings: Settings, now_ms: int) -> list[Finding]:
    """What is past its time, where words have one."""
    days = settings.retention_days
    if days is None:
        return []
    # A day more than is kept: what became too old today is the next command's.
    last = (now_ms - (days + 1) * _DAY_MS - DISCORD_EPOCH_MS) << 22
    if next(archive.history(last=last), None) is not None:
        told = f"the archive holds messages older than RETENTION_DAYS={days}"
        return [warning("retention", told, "sususbot index erases them, as every command does")]
    return []


def consent(archive: Archive, settings: Settings) -> Finding:
    if archive.consents.mode != settings.consent:
        told = f"CONSENT={settings.consent} is not applied yet: the archive goes by {archive.consents.mode}"
        return warning("consent", told, "the next command applies it; restart a bot that runs")
    answers = archive.consents.all_answers()
    learn = sum(answer.learn for answer in answers.values())
    return ok("consent", f"{settings.consent}: {learn:,} of {number(len(answers), 'member')} may be learned from")


def index(archive: Archive) -> Finding:
    pending, made_by = archive.vectors.count_pending(), archive.vectors.embedder()
    if made_by is None:
        if not pending:
            return skipped("index", "there is nothing to index")
        return warning("index", "search goes by words alone: no message has a vector", "sususbot index")
    if pending:
        return warning("index", f"{number(pending, 'message')} have no vector yet", "sususbot index")
    return ok("index", f"{number(archive.vectors.count(), 'vector')}, none is missing")


def corpora(data: Path, archive: Archive | None) -> list[Finding]:
    """Each corpus whole, as it was built, and of members who may be learned from."""
    folders = sorted(path for path in (data / CORPORA).glob("*") if path.is_dir() and not path.name.startswith("."))
    if not folders:
        return [skipped("corpora", "no corpus was built")]
    found = []
    for folder in folders:
        try:
            corpus = load(folder)
        except CorpusError as error:
            found.append(told_by("corpora", error))
            continue
        authors = set(corpus.authors)
        if archive is not None and (gone := authors - archive.consents.may_learn(authors)):
            told = f"the corpus {folder.name} holds words of {number(len(gone), 'member')} who may not be learned from"
            found.append(wrong("corpora", told, "sususbot build"))
            continue
        samples = sum(facts["samples"] for facts in corpus.manifest["files"].values())
        found.append(ok("corpora", f"{folder.name} is whole: {number(samples, 'sample')} of {len(authors):,} authors"))
    return found


def trainings(data: Path, *, now: float | None = None) -> list[Finding]:
    """Each run's manifest, and that what it says it made is there."""
    folders = sorted(path for path in (data / RUNS).glob("*") if path.is_dir())
    if not folders:
        return [skipped("trainings", "nothing was trained")]
    return [_training(folder, time.time() if now is None else now) for folder in folders]


def _training(folder: Path, now: float) -> Finding:
    name = "trainings"
    try:
        manifest: dict[str, Any] = orjson.loads((folder / MANIFEST).read_bytes())
        state = str(manifest.get("state", "unknown"))
    except (OSError, ValueError, AttributeError):
        told = f"the run {folder.name} has no manifest that can be read"
        return warning(name, told, f"remove {folder}, or train it anew")
    if state == "finished" and not any((folder / made).is_dir() for made in _MADE):
        told = f"the run {folder.name} is finished, and neither its adapter nor its model is there"
        return wrong(name, told, f"train it anew under another --name, and remove {folder}")
    touched = max((path.stat().st_mtime for path in folder.glob("*") if path.is_file()), default=now)
    if state == "training" and now - touched > SILENT_SECONDS:
        told = (
            f"the run {folder.name} should be training, and nothing was heard of it for {(now - touched) / 60:.0f} min"
        )
        return warning(name, told, f"sususbot train --name {folder.name} --resume")
    return ok(name, f"the run {folder.name}: {state}")


def stale(data: Path, archive: Archive, used: Path | None) -> Iterator[Finding]:
    """Adapters that learned from whom they may not; `used` is the one of the settings."""
    using = runs.run_of(used, data) if used is not None else None
    for run, _ in runs.stale(data, archive.consents):
        told, _, step = str(runs.complaint(run, archive.consents)).rpartition(": ")
        serving = using is not None and using.name == run.name
        yield wrong("adapters", f"{told}, and ADAPTER_PATH is it", step) if serving else warning("adapters", told, step)
