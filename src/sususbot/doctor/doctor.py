"""All checks, in the order in which one would look: settings, machine, data, model, what runs, Discord.

Settings and archive come as they are, or do not come; each check is a function of values in its own file. What a check
cannot do since something before it is wrong, is left out. Nothing is changed but for a file made and removed.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sususbot.archive.archive import Archive, now_ms
from sususbot.artifacts import MODELS
from sususbot.doctor import checks_data, checks_machine, checks_model, checks_running, checks_settings
from sususbot.doctor.findings import Finding, told_by
from sususbot.errors import SususError
from sususbot.forgetting import Forgetting
from sususbot.model.cards import fault_of_llamacpp, find_cards
from sususbot.settings import Settings
from sususbot.sources.discord_api import address


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at. `load` reads the settings, or raises SettingsError; `python` is this program's version."""

    load: Callable[[], Settings]
    env: Path
    data: Path
    python: tuple[int, ...]
    encoding: str
    """What the console is written in, as the system says."""
    online: Callable[[Settings], list[Finding]] | None = None
    """Asks Discord; None where nobody wished it."""


def examine(patient: Patient) -> Iterator[Finding]:
    """Every finding, as soon as it is there."""
    settings, finding = checks_settings.read(patient.load)
    yield finding
    yield checks_machine.settings_mode(patient.env)
    yield checks_machine.python(patient.python)
    yield checks_machine.console(patient.encoding)
    yield checks_machine.data_folder(patient.data)
    yield checks_machine.place(patient.data, checks_machine.mounts())
    yield checks_machine.disk(patient.data)
    yield checks_settings.proxy(address.base())
    if settings is not None:
        yield checks_settings.token(settings)
        yield checks_settings.channel(settings)
        yield checks_settings.retention(settings)
        yield from checks_settings.log(settings, patient.data)
        yield from checks_machine.packages(checks_settings.needs(settings, patient.data))
    yield from _data(patient, settings)
    yield from _engine(patient, settings)
    if settings is not None:
        yield from checks_running.bot(settings, patient.data)
        yield checks_running.web_port(settings)
        if patient.online is not None:
            yield from patient.online(settings)


def _data(patient: Patient, settings: Settings | None) -> Iterator[Finding]:
    there, finding = checks_data.archive_file(patient.data)
    yield finding
    if not there:
        yield from checks_data.corpora(patient.data, None)
        yield from checks_data.trainings(patient.data)
        return
    try:
        with closing(Archive(patient.data)) as archive:
            yield from checks_data.archive_whole(archive)
            yield from checks_data.erased(archive, Forgetting(archive, patient.data))
            if settings is not None:
                yield from checks_data.overdue(archive, settings, now_ms())
                yield checks_data.consent(archive, settings)
            yield checks_data.index(archive)
            if settings is not None:
                models = patient.data / MODELS
                yield checks_settings.embedder(settings, archive.vectors.embedder(), models)
            yield from checks_data.corpora(patient.data, archive)
            yield from checks_data.trainings(patient.data)
            yield from checks_data.stale(patient.data, archive, settings.adapter_path if settings else None)
    except SususError as error:
        yield told_by("archive", error)


def _engine(patient: Patient, settings: Settings | None) -> Iterator[Finding]:
    found = find_cards()
    needed = settings is not None and settings.backend == "llamacpp"
    yield checks_machine.engine(fault_of_llamacpp(), needed=needed)
    yield checks_machine.cards(found)
    yield checks_machine.driver(found)
    yield checks_machine.torch(found)
    if settings is not None:
        # With GPU_LAYERS=0 none is used.
        sizes = [card.total_bytes for card in found if card.usable and settings.gpu_layers != 0]
        yield from checks_model.model(settings, patient.data, cards=sizes, free=checks_machine.free_memory())
