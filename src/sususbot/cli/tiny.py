"""The demo's tiny model: a base made of nothing but the sample, an adapter for it, both as GGUF, and what they say.

Proof that the way works, from corpus to a reply through llama.cpp, by a model that read a few thousand messages for a
minute: a smoke test, and said to be one wherever it speaks. A training that was stopped goes on where it was.
Not here: how stages look (`stages`); what they begin with (`kettle`).
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from sususbot.artifacts import MANIFEST, MODELS, RUNS, write_manifest
from sususbot.cli.output import bar
from sususbot.cli.stages import Stage
from sususbot.errors import (
    AdapterUnfit,
    CorpusChanged,
    CorpusError,
    MissingExtra,
    ModelError,
    RunMissing,
    SettingsError,
)

if TYPE_CHECKING:
    from sususbot.corpus.manifest import Corpus
    from sususbot.memory.context import ContextBuilder
    from sususbot.model.llamacpp import LlamaCpp
    from sususbot.responder import Reply
    from sususbot.settings import Settings
    from sususbot.training.jobs import How
    from sususbot.training.metrics import Event
    from sususbot.training.recipe import Hardware, Recipe
    from sususbot.training.train_lora import Outcome

_SIZE: Final = "tiny"
_BASE: Final = "base"
_VOICE: Final = "voice"
# All that is made here, below the data folder.
MADE: Final = (
    *(Path(RUNS, name) for name in (_BASE, _VOICE)),
    *(Path(MODELS, name) for name in (f"{_BASE}.gguf", f"{_VOICE}.gguf", MANIFEST)),
)
# Tokens that are read in all while the base is made, and while its adapter is: half a minute or more, and some seconds.
# What it makes of talk that was kept apart is best at about this (1.62 bits a byte); read on, it learns by heart.
_READ: Final = 450_000
_READ_AGAIN: Final = 60_000
# What a kill loses at most; Ctrl-C loses nothing.
_CHECKPOINT_MINUTES: Final = 0.5
# As long as what it was trained on: further from the beginning of a text it has never read anything.
_PROMPT_TOKENS: Final = 512
_REPLY_SECONDS: Final = 20.0


class Workshop:
    """Makes it of a corpus, in the demo's folder. `epochs` is how often it reads the corpus."""

    def __init__(self, data: Path, corpus: "Callable[[], Corpus]", epochs: int | None) -> None:
        self._corpus = corpus
        self._epochs = epochs
        self._models = data / MODELS
        self._base = data / RUNS / _BASE
        self._voice = data / RUNS / _VOICE

    def stages(self) -> tuple[Stage, ...]:
        return (
            Stage(
                "base", "sususbot train --from-scratch", lambda: self._learned(self._base), self._make_base, ("build",)
            ),
            Stage("adapter", "sususbot train", lambda: self._learned(self._voice), self._make_adapter, ("base",)),
            Stage("GGUF", "sususbot export", lambda: self.facts() is not None, self._export, ("adapter",)),
        )

    def facts(self) -> dict[str, Any] | None:
        """What is known of the model that was made of this corpus, if it is there."""
        try:
            facts: dict[str, Any] = orjson.loads((self._models / MANIFEST).read_bytes())
            files = self._corpus().manifest["files"]
        except (OSError, ValueError, CorpusError):
            return None
        whole = all((self._models / f"{name}.gguf").is_file() for name in (_BASE, _VOICE))
        return facts if whole and facts.get("corpus") == files else None

    def wake(self, settings: "Settings") -> "Tiny | None":
        """Load it, where it is there. Raises ModelError."""
        from sususbot.model.llamacpp import LlamaCpp

        facts = self.facts()
        if facts is None:
            return None
        engine = LlamaCpp(
            self._models / f"{_BASE}.gguf",
            adapter_path=self._models / f"{_VOICE}.gguf",
            context_tokens=2 * _PROMPT_TOKENS,
        )
        return Tiny(engine, _context(engine, settings, self._corpus().persona), settings, facts)

    def _learned(self, run: Path) -> bool:
        """Whether the corpus was learned to the end in that run."""
        try:
            manifest = orjson.loads((run / MANIFEST).read_bytes())
            files = self._corpus().manifest["files"]
            return bool(manifest["state"] == "finished" and manifest["corpus"]["files"] == files)
        except (OSError, ValueError, KeyError, TypeError, CorpusError):
            return False

    def _make_base(self) -> str:
        with _packages("peft"):
            from sususbot.training import from_scratch, jobs, run_folder
        corpus = self._corpus()
        # What was learned for another base fits no more.
        shutil.rmtree(self._voice, ignore_errors=True)
        tokens = corpus.manifest["files"]["train.jsonl"]["tokens"]
        recipe = replace(from_scratch.pretraining_recipe(tokens, size=_SIZE), epochs=self._often(_READ))
        texts, _ = jobs.corpus_texts(corpus)

        def train(how: "How") -> "Outcome":
            facts = {"name": corpus.manifest["name"], "files": corpus.manifest["files"]}
            return jobs.train_base(texts, (), self._base, how, size=_SIZE, authors=corpus.authors, corpus=facts)

        losses = _trained("making a tiny base", self._base, recipe, _hardware(from_scratch.PROCESSOR_PRECISION), train)
        weights = from_scratch.count_weights(self._base / run_folder.MODEL) / 1e6
        return f"{weights:.1f} million weights, of nothing but these; {losses}"

    def _make_adapter(self) -> str:
        with _packages("peft"):
            from sususbot.training import jobs, run_folder
            from sususbot.training.base import find_base
            from sususbot.training.recipe import Recipe
        corpus = self._corpus()
        recipe = Recipe(learning_rate=2e-3, rank=8, alpha=16, rows=1, epochs=self._often(_READ_AGAIN))

        def train(how: "How") -> "Outcome":
            base = find_base(str(self._base / run_folder.MODEL), download=False)
            return jobs.train_adapter(corpus, base, self._voice, how)

        return f"a LoRA for this base; {_trained('training an adapter', self._voice, recipe, _hardware('fp32'), train)}"

    def _export(self) -> str:
        with _packages():
            from sususbot.training import from_scratch, run_folder
            from sususbot.training.gguf_adapter import adapter_to_gguf
            from sususbot.training.gguf_base import base_to_gguf
        corpus, model = self._corpus(), self._base / run_folder.MODEL
        files = [self._models / f"{name}.gguf" for name in (_BASE, _VOICE)]
        with bar("writing GGUF") as progress:
            base_to_gguf(
                model, files[0], progress=lambda done, of: progress.update(done, of, f"{done} of {of} tensors")
            )
            adapter_to_gguf(self._voice / run_folder.ADAPTER, files[1], model)
        facts = {
            "corpus": corpus.manifest["files"],
            "authors": corpus.authors,
            "messages": len({id_ for one in corpus.train() for turn in one.turns for id_ in turn.message_ids}),
            "weights": from_scratch.count_weights(model),
        }
        write_manifest(self._models, facts)
        size = sum(path.stat().st_size for path in files) / 1e6
        return f"{size:.1f} MB for llama.cpp: a smoke test, no talker"

    def _often(self, tokens: int) -> int:
        """How often the corpus has to be read to read so many tokens."""
        size: int = self._corpus().manifest["files"]["train.jsonl"]["tokens"]
        return self._epochs or max(1, round(tokens / max(1, size)))


class Tiny:
    """It, loaded, with what builds its prompts."""

    def __init__(
        self, engine: "LlamaCpp", context: "ContextBuilder", settings: "Settings", facts: Mapping[str, Any]
    ) -> None:
        weights = f"{facts['weights'] / 1e6:.1f} million weights"
        self.title = f"smoke test, a model of {weights} that read {facts['messages']:,} messages"
        self._engine = engine
        self._context = context
        self._settings = settings

    def answer(self, reply: "Reply") -> str:
        """What it says to the same, with no memories to read from: what it has learned by itself."""
        from sususbot import chat_format
        from sususbot.cli.build import output_filter, sampling
        from sususbot.model.backend import Deadline, Request
        from sususbot.safety.pings import mention_safe

        *recent, asked = reply.trace.context.turns
        context = self._context.build(asked, recent, (), {})
        request = Request(context.prompt, context.turns, chat_format.STOP, sampling(self._settings))
        try:
            raw = "".join(chunk.text for chunk in self._engine.generate(request, Deadline(_REPLY_SECONDS)))
        except ModelError as error:
            return f"(no answer: {error})"
        speakers = sorted({turn.speaker for turn in context.turns if not turn.own})
        text = chat_format.one_line(mention_safe(chat_format.spoken(raw, self._settings.bot_name, speakers)))
        return output_filter(self._settings).check(text).text or "(nothing)"

    def close(self) -> None:
        self._engine.close()


def _context(engine: "LlamaCpp", settings: "Settings", persona: str) -> "ContextBuilder":
    from sususbot.memory.context import ContextBuilder
    from sususbot.model.estimate import SafeCount

    counting = SafeCount(engine)
    return ContextBuilder(
        persona=persona,
        own_name=settings.bot_name,
        tokens=_PROMPT_TOKENS,
        count_tokens=counting.count_tokens,
        count_ahead=counting.count_ahead,
    )


@contextmanager
def _packages(*wanted: str) -> Iterator[None]:
    """Raises MissingExtra where what training needs is not installed.

    At once where it is one of those wanted: it would be missed only after seconds of importing all before it.
    """
    if any(find_spec(name) is None for name in wanted):
        raise MissingExtra("making a tiny model", "train")
    try:
        yield
    except ImportError as error:
        raise MissingExtra("making a tiny model", "train") from error


def _hardware(precision: str) -> "Hardware":
    from sususbot.training import from_scratch
    from sususbot.training.recipe import Hardware

    return Hardware(precision=precision, plain_layers=from_scratch.layers_of(_SIZE))


def _trained(what: str, run: Path, recipe: "Recipe", hardware: "Hardware", train: "Callable[[How], Outcome]") -> str:
    """Train to the end, from where an earlier training of the same stopped; gives its losses in words.

    Ctrl-C ends it after the step at hand, with all of it saved.
    """
    from sususbot.cli.training import stoppable
    from sususbot.training.jobs import How

    losses = _Losses()
    with bar(what) as progress, stoppable() as stop:

        def show(event: "Event") -> None:
            if (loss := losses.of(event)) is not None:
                progress.update(event.step, getattr(event, "of", None), loss)

        how = How(recipe, hardware, True, _CHECKPOINT_MINUTES, show, stop)
        outcome = _going_on(run, lambda: train(how))
    if outcome.stopped:
        raise KeyboardInterrupt
    return losses.told()


def _going_on(run: Path, train: "Callable[[], Outcome]") -> "Outcome":
    """Where what is there cannot be gone on with, since it is of another corpus or broken, it begins anew."""
    try:
        return train()
    except (AdapterUnfit, CorpusChanged, RunMissing, SettingsError):
        shutil.rmtree(run, ignore_errors=True)
        return train()


class _Losses:
    """The first and the last of a training's losses."""

    def __init__(self) -> None:
        self._seen: list[float] = []

    def of(self, event: "Event") -> str | None:
        from sususbot.training.metrics import StepDone

        if not isinstance(event, StepDone):
            return None
        self._seen.append(event.loss)
        return f"step {event.step} of {event.of}, loss {event.loss:.1f}"

    def told(self) -> str:
        return f"loss {self._seen[0]:.1f} to {self._seen[-1]:.1f}" if self._seen else "it was done but for the end"
