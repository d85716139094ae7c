"""The settings and the data folder, as every command meets them. Nothing here loads what only answering needs.

Every command that opens the archive does so by `open_archive`: what was begun is finished there, so no other way in.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

from sususbot import env_file
from sususbot.archive.archive import FILE_NAME, Archive, now_ms
from sususbot.cli.main import Place
from sususbot.cli.output import say
from sususbot.errors import ArchiveEmpty, ArchiveFull, ArchiveLocked, SettingsError, VectorStoreError
from sususbot.forgetting import Forgetting, Gone, told
from sususbot.messages import joined_names
from sususbot.proxy import spare_this_machine
from sususbot.settings import Settings

DAY_MS: Final = 86_400_000
# What tells a project or a home from a data folder.
_NOT_OURS: Final = (".env", ".git", ".bashrc", ".ssh", "pyproject.toml", "Desktop")


def load_settings(place: Place) -> Settings:
    settings = env_file.load(place.env)
    # Hugging Face's own libraries look for these in the environment, and nowhere else.
    for name, value in (("HF_ENDPOINT", settings.hf_endpoint), ("HF_TOKEN", settings.hf_token)):
        if value:
            os.environ[name] = value
    spare_this_machine(os.environ)
    return settings


def open_archive(place: Place, *, filled: bool = False) -> Archive:
    """The archive of the data folder, with the settings' consent and retention applied, and what was begun finished.

    With `filled`, raises ArchiveEmpty when nothing was imported yet, and makes no archive where there is none.
    """
    settings = load_settings(place)
    _check_own(place.data)
    if filled and _has_none(place.data):
        raise _empty(place.data)
    archive = Archive(place.data)
    try:
        archive.consents.set_mode(settings.consent)
        catch_up(forgetting(place, settings, archive), settings.retention_days)
        if filled and archive.newest() is None:
            raise _empty(place.data)
    except BaseException:
        archive.close()
        raise
    return archive


def _has_none(folder: Path) -> bool:
    """Whether no archive was made there yet; where that cannot be seen, opening it says why."""
    try:
        return not (folder / FILE_NAME).exists() and (folder.is_dir() or not folder.exists())
    except OSError:
        return False


def _empty(folder: Path) -> ArchiveEmpty:
    """The whole path: often it is only another folder than the one that was meant."""
    return ArchiveEmpty(
        f"the archive in {folder.absolute()} is empty: run  sususbot backfill  or  sususbot import FILES  first, or "
        "name another folder with --data"
    )


def _check_own(folder: Path) -> None:
    """Forgetting deletes whatever names a member in the data folder, so nothing else may live there."""
    strange = [name for name in _NOT_OURS if (folder / name).exists()]
    if strange:
        raise SettingsError(
            f"{folder.resolve()} holds other things, too ({joined_names(strange)}), and what is in a data folder may "
            "be deleted when a member is forgotten: choose a folder of its own with --data"
        )


def forgetting(place: Place, settings: Settings, archive: Archive) -> Forgetting:
    """What takes words away in this data folder."""
    return Forgetting(archive, place.data, chroma_url=settings.chroma_url if settings.vector_db == "chroma" else None)


def catch_up(forgetting: Forgetting, retention_days: int | None = None) -> None:
    """What was begun and is not done yet, members who said no since, and what is past its time."""
    gone = Gone()
    try:
        gone = forgetting.resume(at=now_ms())
        if retention_days is not None:
            expired = forgetting.expire(now_ms() - retention_days * DAY_MS)
            if expired.messages:
                say(f"{expired.messages:,} messages are older than RETENTION_DAYS={retention_days} and were erased")
            gone += replace(expired, messages=0)
    except (ArchiveFull, ArchiveLocked, VectorStoreError) as error:
        # What is on record is used by nobody; the next command tries again.
        say(f"not all is erased yet: {error}")
    for line in told(gone):
        say(line)
