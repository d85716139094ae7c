"""Checks of the model: its file, its adapter, and whether both fit into the memory there is."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from sususbot.artifacts import MANIFEST
from sususbot.doctor.checks_machine import memory
from sususbot.doctor.findings import Finding, number, ok, skipped, told_by, warning, wrong
from sususbot.errors import ModelError
from sususbot.model.gguf_header import ModelSize, adapter_layers, model_size
from sususbot.model.placement import Demand
from sususbot.model.transformers import find_folder
from sususbot.settings import Settings
from sususbot.training.runs import run_of

_MEGABYTE: Final = 1_000_000
_GB: Final = 1e9
# Beside weights and context, what a process of an engine takes.
_ENGINE: Final = 200 * _MEGABYTE


def model(settings: Settings, data: Path, *, cards: Sequence[int], free: int) -> Iterator[Finding]:
    """By BACKEND; `cards` are the bytes of each card that can be used, `free` those the machine has left."""
    if settings.backend == "llamacpp":
        yield from _llamacpp(settings, data, cards, free)
    elif settings.backend == "transformers":
        yield _base(settings)
        yield from _folder_adapter(settings, data)
    elif settings.backend == "openai":
        if settings.openai_base_url is None:
            yield wrong("model", "BACKEND=openai needs OPENAI_BASE_URL", "set it, e.g. to http://127.0.0.1:8000/v1")
        else:
            yield ok("model", f"a server answers: {settings.openai_base_url.split('@')[-1]}")
    else:
        yield ok("model", "BACKEND=recall needs no model: it says what fits best of what was ever said")


def _llamacpp(settings: Settings, data: Path, cards: Sequence[int], free: int) -> Iterator[Finding]:
    path = settings.model_path
    if path is None:
        yield wrong("model", "BACKEND=llamacpp needs MODEL_PATH", "sususbot models download, and set MODEL_PATH to it")
        return
    if not path.is_file():
        yield wrong("model", f"there is no file {path}", "correct MODEL_PATH, or run  sususbot models download")
        return
    size = model_size(path)
    if size is None:
        told = f"{path} is no whole GGUF model"
        yield wrong("model", told, "fetch it again with  sususbot models download, or choose another MODEL_PATH")
        return
    yield ok("model", f"{path.name} is whole: {number(len(size.layers), 'layer')}, {size.bytes / _GB:,.1f} GB")
    yield _room(settings, size, cards, free)
    if settings.adapter_path is not None:
        yield from _gguf_adapter(settings.adapter_path, size, data, path)


def _room(settings: Settings, size: ModelSize, cards: Sequence[int], free: int) -> Finding:
    adapter = settings.adapter_path
    demand = Demand(
        size,
        settings.context_tokens,
        slots=settings.slots,
        kv=settings.kv_type,
        adapter=adapter.stat().st_size if adapter is not None and adapter.is_file() else 0,
        flash=settings.flash_attention != "off",
    )
    whole = len(size.layers) + 1
    wanted = whole if settings.gpu_layers is None else min(settings.gpu_layers, whole)
    fitting = demand.fitting(cards, settings.vram_reserve_mb * _MEGABYTE) if cards else 0
    if wanted and cards:
        needed, there = demand.needed(wanted), sum(cards)
        told = f"{wanted} of {whole} layers take {needed / _GB:,.1f} GB of the card, which has {there / _GB:,.1f} GB"
        if fitting >= wanted:
            return ok("memory", told)
        step = "close what else uses the card, lower CONTEXT_TOKENS, set KV_TYPE=q8_0, or choose a smaller model"
        return warning("memory", f"{told}: {fitting} fit, and replies are slower for it", step)
    return memory(free, demand.needed(whole) + _ENGINE, "the model with its context")


def _gguf_adapter(path: Path, size: ModelSize, data: Path, base: Path) -> Iterator[Finding]:
    if not path.is_file():
        step = "correct ADAPTER_PATH, or make it with  sususbot export RUN"
        yield wrong("adapter", f"{path} is no file, and BACKEND=llamacpp wants one", step)
        return
    layers = adapter_layers(path)
    if layers is None:
        yield wrong("adapter", f"{path} is no GGUF adapter", "make it anew with  sususbot export RUN")
    elif layers[0] > len(size.layers) or layers[1] != size.width:
        told = f"{path.name} is made for {layers[0]} layers of {layers[1]}, and the model has {len(size.layers)} of "
        step = "set MODEL_PATH to the base it was trained on, or train a new adapter"
        yield wrong("adapter", f"{told}{size.width}", step)
    else:
        yield ok("adapter", f"{path.name} fits {base.name} by layers and width{_trained_on(path, data)}")


def _base(settings: Settings) -> Finding:
    try:
        folder = find_folder(settings.base_model)
    except ModelError as error:
        return told_by("model", error)
    if not any(folder.glob("*.safetensors")):
        told = f"{folder} holds no weights (*.safetensors)"
        return wrong("model", told, f"fetch it with  sususbot models download {settings.base_model}")
    return ok("model", f"{settings.base_model} is in {folder}")


def _folder_adapter(settings: Settings, data: Path) -> Iterator[Finding]:
    path = settings.adapter_path
    if path is None:
        yield skipped("adapter", "ADAPTER_PATH is not set: the base answers as it is")
        return
    if not (path / "adapter_config.json").is_file():
        step = "correct ADAPTER_PATH: a folder such as data/runs/NAME/adapter"
        yield wrong("adapter", f"there is no adapter in {path}", step)
        return
    base = _manifest_base(path, data)
    if base and base != settings.base_model:
        step = "set BASE_MODEL back to it, or train a new adapter"
        yield wrong("adapter", f"{path} was trained on {base}, and BASE_MODEL is {settings.base_model}", step)
    else:
        yield ok("adapter", f"{path} is there{_trained_on(path, data)}")


def _trained_on(path: Path, data: Path) -> str:
    return f" (trained on {base})" if (base := _manifest_base(path, data)) else ""


def _manifest_base(path: Path, data: Path) -> str:
    """What the adapter's run says it was trained on; empty where there is none to say it."""
    run = run_of(path, data)
    try:
        manifest: dict[str, Any] = orjson.loads((run.folder / MANIFEST).read_bytes()) if run is not None else {}
        return str(manifest["base"]["name"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""
