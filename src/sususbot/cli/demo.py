"""`sususbot demo`: the whole path on the sample community that ships with the program.

It imports, indexes and talks by `recall`, whose answers make sense. Beside it, a tiny model is made on the spot
(corpus, base, adapter, GGUF) and answers the same through llama.cpp: proof that the way works, from a model that read a
few hundred messages in half a minute.
Nobody is asked for permission to train here: the people of the sample are made up.
"""

import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import orjson

from sususbot import sample
from sususbot.artifacts import CORPORA, MANIFEST, MODELS, RUNS, write_manifest
from sususbot.cli.chat import TerminalChat
from sususbot.cli.main import Place
from sususbot.cli.output import bar, say, working

if TYPE_CHECKING:
    from sususbot.archive.archive import Archive
    from sususbot.corpus.manifest import Corpus
    from sususbot.memory.context import ContextBuilder
    from sususbot.model.llamacpp import LlamaCpp
    from sususbot.responder import Reply
    from sususbot.settings import Settings
    from sususbot.training.metrics import Event, Report

_QUESTIONS: Final = 3
_SIZE: Final = "tiny"
_BASE: Final = "base"
_VOICE: Final = "voice"
# Tokens that are read in all while the base is made, and while its adapter is: some seconds each.
_READ: Final = 300_000
_READ_AGAIN: Final = 60_000
# As long as what it was trained on: further from the beginning of a text it has never read anything.
_PROMPT_TOKENS: Final = 512
_REPLY_SECONDS: Final = 20.0


@click.command("demo", epilog='Example:  sususbot demo --once "who broke the printer?"')
@click.option("--once", metavar="TEXT", help="Answer this and end.")
@click.option("--why", is_flag=True, help="Show what each reply was made of.")
@click.option(
    "--epochs",
    type=click.IntRange(0),
    help="How often the tiny model reads the sample; 0 leaves it out.  [default: some tens of seconds of it]",
)
@click.pass_obj
def demo(place: Place, once: str | None, why: bool, epochs: int | None) -> None:
    """The whole path on a small made-up server, in a folder of its own (DATA/demo).

    With no terminal to talk through it asks three questions by itself and ends.
    """
    from sususbot.archive.archive import Archive
    from sususbot.settings import Settings

    place = Place(place.data / "demo", None, place.debug)
    # The demo is the same on every machine: no .env, no environment.
    settings = Settings.model_construct()
    with Archive(place.data) as archive:
        _prepare(archive, settings.embedding_model)
        tiny = _tiny(place.data, settings, archive, epochs) if epochs != 0 else None
        with working("waking up"):
            talk = _Talk(settings, place, archive, tiny)
        try:
            if once is not None:
                talk.answer(once, why=why)
            elif sys.stdin.isatty() and sys.stdout.isatty():
                say('this is The Leaky Kettle, a made-up server; try "who broke the printer?"')
                talk.run(why=why)
            else:
                for question in sample.questions()[:_QUESTIONS]:
                    click.echo(f"you: {question.text}")
                    talk.answer(question.text, why=why)
        finally:
            talk.close()


class _Talk(TerminalChat):
    """A session in which the tiny model also says what it would."""

    def __init__(self, settings: "Settings", place: Place, archive: "Archive", tiny: "_Tiny | None") -> None:
        super().__init__(settings, place, archive, "you")
        self._tiny = tiny

    def answer(self, text: str, *, why: bool = False, as_json: bool = False) -> "Reply":
        reply = super().answer(text, why=why, as_json=as_json)
        if self._tiny is not None:
            say(self._tiny.answer(reply))
        return reply

    def close(self) -> None:
        super().close()
        if self._tiny is not None:
            self._tiny.close()


def _prepare(archive: "Archive", model: str) -> None:
    """Sample history in, vectors made: each only once."""
    from sususbot.errors import MissingExtra, ModelNotFound
    from sususbot.memory import indexing
    from sususbot.memory.embedding import MiniLM
    from sususbot.sources.ingest import ingest

    # Importing again adds what an interrupted run left out, in milliseconds.
    new = sum(ingest(archive, path).added.new for path in sample_exports())
    if new:
        _done(f"imported {new} messages of the sample community", "import export.json")
    if archive.vectors.count_pending():
        try:
            with working("loading the encoder"):
                embedder = MiniLM(model)
        except (MissingExtra, ModelNotFound) as error:
            say(f"searching by words alone: {error}")
            return
        with bar("embedding") as progress:
            done = indexing.index(archive, embedder, progress.messages)
        _done(f"indexed {done} of them by meaning", "index")


def _done(what: str, command: str) -> None:
    """A stage is over; and which command does it for one's own server."""
    say(f"{what:<64} yours:  sususbot {command}")


def sample_exports() -> list[Path]:
    """The sample community's export files."""
    return sample.exports()


# -- the tiny model


@dataclass(frozen=True, slots=True)
class _Tiny:
    """It, loaded, with what builds its prompts, and what there is to say of it."""

    engine: "LlamaCpp"
    context: "ContextBuilder"
    settings: "Settings"
    facts: Mapping[str, Any]

    def answer(self, reply: "Reply") -> str:
        """A line on what it says to the same, with no memories to read from: what it has learned by itself."""
        from sususbot import chat_format
        from sususbot.cli.build import sampling
        from sususbot.errors import ModelError
        from sususbot.model.backend import Deadline, Request
        from sususbot.safety.pings import mention_safe

        *recent, asked = reply.trace.context.turns
        context = self.context.build(asked, recent, (), {})
        request = Request(context.prompt, context.turns, chat_format.STOP, sampling(self.settings))
        try:
            raw = "".join(chunk.text for chunk in self.engine.generate(request, Deadline(_REPLY_SECONDS)))
        except ModelError as error:
            return f"  | smoke test: the tiny model does not answer: {error}"
        speakers = sorted({turn.speaker for turn in context.turns if not turn.own})
        text = chat_format.one_line(mention_safe(chat_format.spoken(raw, self.settings.bot_name, speakers)))
        return (
            f"  | smoke test, a model of {self.facts['weights'] / 1e6:.1f} million weights that read "
            f"{self.facts['messages']} messages, through llama.cpp: {text or '(nothing)'}"
        )

    def close(self) -> None:
        self.engine.close()


def _tiny(data: Path, settings: "Settings", archive: "Archive", epochs: int | None) -> _Tiny | None:
    """The tiny model, made if it is not there yet; None, with a line that says why, where it cannot be."""
    from sususbot.errors import SususError
    from sususbot.memory.context import ContextBuilder
    from sususbot.model.estimate import SafeCount
    from sususbot.model.llamacpp import LlamaCpp

    models = data / MODELS
    try:
        corpus = _corpus(data, settings, archive)
        facts = _ready(models, corpus) or _make(data, corpus, epochs)
        engine = LlamaCpp(
            models / f"{_BASE}.gguf", adapter_path=models / f"{_VOICE}.gguf", context_tokens=2 * _PROMPT_TOKENS
        )
    except SususError as error:
        say(f"without a tiny model of its own: {error}")
        return None
    counting = SafeCount(engine)
    context = ContextBuilder(
        persona=corpus.persona,
        own_name=settings.bot_name,
        tokens=_PROMPT_TOKENS,
        count_tokens=counting.count_tokens,
        count_ahead=counting.count_ahead,
    )
    return _Tiny(engine, context, settings, facts)


def _corpus(data: Path, settings: "Settings", archive: "Archive") -> "Corpus":
    """The sample as a corpus, built anew where it is not of these messages. Nothing is kept apart: it is too little."""
    from sususbot.cli.build import persona_text
    from sususbot.corpus.build import build
    from sususbot.corpus.manifest import load
    from sususbot.corpus.recipe import Recipe
    from sususbot.corpus.tokens import token_counter
    from sususbot.errors import CorpusError

    folder = data / CORPORA / "default"
    recipe = Recipe(settings.bot_name, persona_text(settings, archive), valid_share=0.0)
    try:
        corpus = load(folder)
    except CorpusError:
        corpus = None
    counts = archive.counts()
    if (
        corpus is not None
        and corpus.manifest["archive"]["messages"] == counts.messages - counts.deleted
        and corpus.manifest["recipe"] == orjson.loads(orjson.dumps(recipe.as_json()))
    ):
        return corpus
    corpus = build(archive, folder, recipe, token_counter()).corpus
    _done(f"built {corpus.manifest['files']['train.jsonl']['samples']} samples of conversation from them", "build")
    return corpus


def _ready(models: Path, corpus: "Corpus") -> dict[str, Any] | None:
    """What is known of the model that was made of this corpus, if one was."""
    try:
        facts: dict[str, Any] = orjson.loads((models / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return None
    whole = all((models / f"{name}.gguf").is_file() for name in (_BASE, _VOICE))
    return facts if whole and facts.get("corpus") == corpus.manifest["files"] else None


def _make(data: Path, corpus: "Corpus", epochs: int | None) -> dict[str, Any]:
    """Base, adapter, GGUF: what an earlier run finished is taken as it is. Raises MissingExtra and TrainingError."""
    from sususbot.errors import MissingExtra

    try:
        # All that is needed, before anything is begun.
        import sususbot.training.jobs  # noqa: F401
        from sususbot.training import from_scratch, run_folder
        from sususbot.training.gguf_adapter import adapter_to_gguf
        from sususbot.training.gguf_base import base_to_gguf
    except ImportError as error:
        raise MissingExtra("making a tiny model", "train") from error

    models, base, voice = data / MODELS, data / RUNS / _BASE, data / RUNS / _VOICE
    with run_folder.alone(models):
        if not _finished(base, corpus):
            shutil.rmtree(voice, ignore_errors=True)
            _make_base(corpus, base, epochs)
        if not _finished(voice, corpus):
            _train_adapter(corpus, base / run_folder.MODEL, voice, epochs)
        base_to_gguf(base / run_folder.MODEL, models / f"{_BASE}.gguf")
        adapter_to_gguf(voice / run_folder.ADAPTER, models / f"{_VOICE}.gguf", base / run_folder.MODEL)
        facts = {
            "corpus": corpus.manifest["files"],
            "authors": corpus.authors,
            "messages": len({id_ for sample in corpus.train() for turn in sample.turns for id_ in turn.message_ids}),
            "weights": from_scratch.count_weights(base / run_folder.MODEL),
        }
        write_manifest(models, facts)
    _done("wrote both as GGUF, for llama.cpp", "export")
    return facts


def _make_base(corpus: "Corpus", run: Path, epochs: int | None) -> None:
    from sususbot.training import from_scratch, jobs
    from sususbot.training.recipe import Hardware

    tokens = corpus.manifest["files"]["train.jsonl"]["tokens"]
    recipe = replace(from_scratch.pretraining_recipe(tokens, size=_SIZE), epochs=epochs or _often(corpus, _READ))
    hardware = Hardware(precision=from_scratch.PROCESSOR_PRECISION, plain_layers=from_scratch.layers_of(_SIZE))
    texts, _ = jobs.corpus_texts(corpus)
    with _training(run, "making a tiny base of what they say", "train --from-scratch") as report:
        jobs.train_base(
            texts,
            (),
            run,
            jobs.How(recipe, hardware, report=report),
            size=_SIZE,
            authors=corpus.authors,
            corpus={"name": corpus.manifest["name"], "files": corpus.manifest["files"]},
        )


def _train_adapter(corpus: "Corpus", base: Path, run: Path, epochs: int | None) -> None:
    from sususbot.training import from_scratch, jobs
    from sususbot.training.base import find_base
    from sususbot.training.recipe import Hardware, Recipe

    recipe = Recipe(learning_rate=2e-3, rank=8, alpha=16, rows=1, epochs=epochs or _often(corpus, _READ_AGAIN))
    hardware = Hardware(plain_layers=from_scratch.layers_of(_SIZE))
    with _training(run, "training an adapter for it", "train") as report:
        jobs.train_adapter(corpus, find_base(str(base), download=False), run, jobs.How(recipe, hardware, report=report))


def _often(corpus: "Corpus", tokens: int) -> int:
    """How often the corpus has to be read to read so many tokens."""
    size: int = corpus.manifest["files"]["train.jsonl"]["tokens"]
    return max(1, round(tokens / max(1, size)))


@contextmanager
def _training(run: Path, what: str, command: str) -> "Iterator[Report]":
    """A training that begins anew, whatever an earlier one left half done; its steps are shown, and how it ended."""
    from sususbot.training.metrics import StepDone

    shutil.rmtree(run, ignore_errors=True)
    begun, losses = time.monotonic(), list[float]()
    with bar(what) as progress:

        def show(event: "Event") -> None:
            if isinstance(event, StepDone):
                losses.append(event.loss)
                progress.update(event.step, event.of, f"step {event.step} of {event.of}, loss {event.loss:.2f}")

        yield show
    _done(f"{what}: {time.monotonic() - begun:.0f} s, loss {losses[0]:.1f} to {losses[-1]:.1f}", command)


def _finished(run: Path, corpus: "Corpus") -> bool:
    """Whether this corpus was learned to the end in that run."""
    try:
        manifest = orjson.loads((run / MANIFEST).read_bytes())
        return bool(manifest["state"] == "finished" and manifest["corpus"]["files"] == corpus.manifest["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
