"""The engine that the settings choose, and whether its weights may still be used.

Weights that learned from somebody who does not agree any more are refused here, before anything is loaded; every
surface and `eval` come this way. To add an engine: a function here and a line in `backends`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from sususbot import artifacts
from sususbot.archive.archive import Archive
from sususbot.cli.main import Place
from sususbot.cli.output import say
from sususbot.errors import AdapterStale, SettingsError
from sususbot.memory.lines import RememberedLines
from sususbot.memory.long_term import LongTerm
from sususbot.model.backend import Backend
from sususbot.model.recall import Recall
from sususbot.settings import Settings
from sususbot.training import runs

# Backends that take an adapter from ADAPTER_PATH.
ADAPTED: Final = ("llamacpp", "transformers")


def backends(settings: Settings, long_term: LongTerm) -> Sequence[Backend]:
    """The chosen one first, recall behind it."""
    recall = Recall(RememberedLines(long_term))
    if settings.backend == "llamacpp":
        return [_llamacpp(settings), recall]
    if settings.backend == "openai":
        return [_openai(settings), recall]
    if settings.backend == "transformers":
        return [_transformers(settings), recall]
    return [recall]


def _llamacpp(settings: Settings) -> Backend:
    from sususbot.model.llamacpp import LlamaCpp

    if settings.model_path is None:
        raise SettingsError(
            "BACKEND=llamacpp needs MODEL_PATH: set it to a GGUF file (sususbot models download  fetches one), or "
            "choose BACKEND=recall"
        )
    return LlamaCpp(
        settings.model_path,
        adapter_path=settings.adapter_path,
        context_tokens=settings.context_tokens,
        gpu_layers=settings.gpu_layers,
        threads=settings.threads,
        slots=settings.slots,
        kv_type=settings.kv_type,
        flash_attention=settings.flash_attention,
        reserve_mb=settings.vram_reserve_mb,
    )


def _openai(settings: Settings) -> Backend:
    from sususbot.model.openai import OpenAI

    if settings.openai_base_url is None:
        raise SettingsError("BACKEND=openai needs OPENAI_BASE_URL: set it, e.g. to http://127.0.0.1:8000/v1")
    return OpenAI(
        settings.openai_base_url,
        api_key=settings.openai_api_key,
        model=settings.openai_model,
        adapter=settings.openai_adapter,
        context_tokens=settings.context_tokens,
        parallel=settings.slots,
    )


def _transformers(settings: Settings) -> Backend:
    from sususbot.model.transformers import Transformers

    return Transformers(
        settings.base_model,
        adapter_path=settings.adapter_path,
        four_bit=settings.load_in_4bit,
        context_tokens=settings.context_tokens,
        threads=settings.threads,
    )


def weights_used(settings: Settings, data: Path) -> Iterator[Path]:
    """What of the settings may have learned from members; a base that was made here did, too."""
    if settings.backend == "openai" and settings.openai_adapter is not None:
        # Of what a server has only the name is known here: one that is called like a run is that run's.
        run = data / artifacts.RUNS / settings.openai_adapter.removesuffix(".gguf")
        if run.parent == data / artifacts.RUNS and run.is_dir():
            yield run
    if settings.backend == "llamacpp" and settings.model_path is not None:
        yield settings.model_path
    if settings.backend == "transformers" and (base := Path(settings.base_model).expanduser()).exists():
        yield base
    if settings.backend in ADAPTED and settings.adapter_path is not None:
        yield settings.adapter_path


def learned(settings: Settings, data: Path) -> dict[Path, runs.Run]:
    """The weights of the settings that a run here made, each with the run that says whose words are in it."""
    found = {weights: runs.run_of(weights, data) for weights in weights_used(settings, data)}
    return {weights: run for weights, run in found.items() if run is not None}


def check_learned(weights: Path, place: Place, archive: Archive, *, allow_stale: bool = False) -> None:
    """Raises AdapterStale where weights learned from somebody they may not know any more, unless that is allowed."""
    complaint = complaint_of(weights, place, archive)
    if complaint is None:
        return
    if not allow_stale:
        raise AdapterStale(complaint)
    say(f"used all the same: {complaint.split(':')[0]}")


def complaint_of(weights: Path, place: Place, archive: Archive) -> str | None:
    """Why weights may not be used any more; None where they may."""
    run = runs.run_of(weights, place.data)
    return runs.complaint(run, archive.consents) if run is not None else None
