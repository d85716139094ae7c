"""What `sususbot eval` measures: names of systems to settings, and settings to something that answers over a ground.

`bot` is what `.env` serves; `base` the same without its adapter; `run:NAME` a run's adapter (a GGUF file for llama.cpp,
else by transformers, over the base it was trained on); `recall` no model; `remote` the server at OPENAI_BASE_URL.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import orjson

from sususbot.archive.archive import Archive
from sususbot.artifacts import MANIFEST, RUNS
from sususbot.cli import build, engines
from sususbot.cli.main import Place
from sususbot.cli.output import say
from sususbot.errors import EvaluationError, RunMissing, SettingsError
from sususbot.evaluation.ground import Ground, Opening, System
from sususbot.messages import day
from sususbot.proxy import shown
from sususbot.settings import Settings
from sususbot.training import runs

BOT: Final = "bot"
BASE: Final = "base"
RECALL: Final = "recall"
REMOTE: Final = "remote"
RUN: Final = "run:"
WHICH: Final = f"{BOT}, {BASE}, {RECALL}, {REMOTE} or {RUN}NAME"
# Of the settings, what a report says beside its figures.
_TOLD: Final = (
    *("context_tokens", "max_new_tokens", "temperature", "top_p", "top_k", "min_p", "repetition_penalty"),
    *("dry_multiplier", "dry_base", "dry_allowed_length", "memories", "short_term_window", "filter"),
)


def usual(settings: Settings) -> list[str]:
    """What is measured if nothing is named: the bot, what it is without its adapter, and recall."""
    if settings.backend == "recall":
        return [BOT]
    return [BOT, *[BASE] * (_adapter(settings) is not None), RECALL]


def served(names: Sequence[str], settings: Settings, data: Path) -> dict[str, Settings]:
    """Each system's settings, in their order. Raises SettingsError and RunMissing where there is no such one."""
    found = {name: _settings_of(name, settings, data) for name in names if name != BASE}
    if BASE in names:
        adapted = next((one for one in found.values() if _adapter(one) is not None), settings)
        if adapted.backend == "recall":
            raise SettingsError("base is the model without its adapter, and BACKEND=recall has none: set BACKEND first")
        found[BASE] = adapted.model_copy(update={"adapter_path": None, "openai_adapter": None})
    for one in found.values():
        _check_set(one)
    return {name: found[name] for name in names}


def _check_set(settings: Settings) -> None:
    """What an engine cannot do without is told before anything is measured."""
    if settings.backend == "llamacpp" and settings.model_path is None:
        raise SettingsError("BACKEND=llamacpp needs MODEL_PATH: set it to a GGUF file, or choose BACKEND=recall")
    if settings.backend == "openai" and settings.openai_base_url is None:
        raise SettingsError("remote needs OPENAI_BASE_URL: set it, e.g. to http://127.0.0.1:8000/v1")


def _settings_of(name: str, settings: Settings, data: Path) -> Settings:
    if name == BOT:
        return settings
    if name == RECALL:
        return settings.model_copy(update={"backend": "recall"})
    if name == REMOTE:
        return settings.model_copy(update={"backend": "openai"})
    if name.startswith(RUN):
        return _of_run(name.removeprefix(RUN), settings, data)
    raise SettingsError(f"there is no system {name}: name {WHICH}")


def _of_run(name: str, settings: Settings, data: Path) -> Settings:
    """A run's adapter as the settings' backend takes it, else as it is; of a base made here, that base."""
    run = data / RUNS / name
    manifest = _manifest(run) if name and Path(name).name == name else {}
    is_base = manifest.get("kind") == "base"
    if not (run / ("model" if is_base else "adapter")).is_dir():
        raise RunMissing(f"there is no run {name} in {data / RUNS} that could be measured: run  sususbot train  first")
    if settings.backend == "openai" and not is_base:
        return settings.model_copy(update={"openai_adapter": name})
    if settings.backend == "llamacpp":
        file = run / ("model.gguf" if is_base else "adapter.gguf")
        if not file.is_file():
            raise RunMissing(f"the run {name} is no GGUF file yet: run  sususbot export {name}  first")
        place = {"model_path": file, "adapter_path": None} if is_base else {"adapter_path": file}
        return settings.model_copy(update=place)
    if is_base:
        update: dict[str, Any] = {"base_model": str(run / "model"), "adapter_path": None}
    else:
        base = manifest.get("base") or {}
        folder = base.get("folder")
        known = folder if folder and Path(folder).is_dir() else base.get("name", settings.base_model)
        update = {"base_model": str(known), "adapter_path": run / "adapter"}
    return settings.model_copy(update={"backend": "transformers", **update})


def corpus_of(systems: Mapping[str, Settings], data: Path) -> str | None:
    """The corpus that the first of these that says so was trained on."""
    for settings in systems.values():
        for weights in engines.weights_used(settings, data):
            run = runs.run_of(weights, data)
            corpus = (_manifest(run.folder).get("corpus") or {}) if run is not None else {}
            if "name" in corpus:
                return str(corpus["name"])
    return None


def check(
    systems: Mapping[str, Settings], place: Place, archive: Archive, split_at: int | None, *, allow_stale: bool
) -> None:
    """Raises AdapterStale, and EvaluationError where a system learned from what was kept apart: its figures would be
    too good."""
    for name, settings in systems.items():
        for weights in engines.weights_used(settings, place.data):
            engines.check_learned(weights, place, archive, allow_stale=allow_stale)
            run = runs.run_of(weights, place.data)
            if run is None:
                continue
            learned_until: int | None = _manifest(run.folder).get("learned_until")
            if learned_until is None:
                say(f"{name}: the run {run.name} does not say until when it learned; its figures may be too good")
            elif split_at is not None and learned_until >= split_at:
                raise EvaluationError(
                    f"{name} cannot be measured: the run {run.name} learned what was said until {day(learned_until)}, "
                    f"and what is kept apart begins on {day(split_at)}: train it anew on this corpus, or name another "
                    "by --corpus"
                )


def opening(name: str, settings: Settings, place: Place, *, allow_stale: bool) -> Opening:
    """Loads the whole bot of these settings, with nothing that answers in its stead."""

    @contextmanager
    def opened(ground: Ground) -> Iterator[System]:
        # The same seed says the same again.
        its = settings.model_copy(update={"seed": ground.seed})
        parts = build.build(
            its, place, ground.archive, allow_stale=allow_stale, long_term=ground.long_term, fallback=False
        )
        try:
            backend = parts.backends[0]
            context = build.context_builder(its, ground.archive, backend, parts.network)
            yield System(name, backend, context, parts.responder, build.sampling(its))
        finally:
            parts.inference.close()

    return opened


def told(systems: Mapping[str, Settings]) -> dict[str, Any]:
    """The settings that a report names: those that all share, and what each system is made of. No secret is in it."""
    first = next(iter(systems.values()))
    made_of = {name: _made_of(settings) for name, settings in systems.items()}
    return {**{name: getattr(first, name) for name in _TOLD}, "systems": made_of}


def _made_of(settings: Settings) -> dict[str, str | None]:
    model = {
        "llamacpp": settings.model_path.name if settings.model_path is not None else None,
        "transformers": settings.base_model,
        "openai": settings.openai_model or shown(settings.openai_base_url or "") or None,
    }.get(settings.backend)
    return {"backend": settings.backend, "model": model, "adapter": _adapter(settings)}


def _adapter(settings: Settings) -> str | None:
    if settings.backend == "openai":
        return settings.openai_adapter
    path = settings.adapter_path if settings.backend in engines.ADAPTED else None
    return None if path is None else str(path)


def _manifest(run: Path) -> dict[str, Any]:
    try:
        return dict(orjson.loads((run / MANIFEST).read_bytes()))
    except (OSError, ValueError, TypeError):
        return {}
