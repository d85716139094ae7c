"""Does `eval` tell a good bot from a bad one, on a real server, and the same again?

A small base reads general English (`python_docs`, none of it what voices are told from), and learns a server's older
messages as a LoRA (`training_gain`); an embedder finds its memories. Base, base with adapter, and recall are measured
on what the server said later, twice with the same seed. Bare minimum: the base as it is, and chance.
What must hold is a figure of 1: the adapter is better than its base in voice and in language (by the interval of the
paired difference), recall finds the true reply more often than chance, the whole context tells more of it than the
message alone, and the second run gives every figure of the first but times.
"""

import math
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from sususbot.archive.archive import Archive
from sususbot.benchmarks.haystack import fill
from sususbot.benchmarks.report import Metrics, Result, timed
from sususbot.benchmarks.training_gain import ADAPTER, RUNS, gain, general_base, general_texts
from sususbot.corpus.build import build
from sususbot.corpus.manifest import Corpus
from sususbot.corpus.recipe import Recipe as CorpusRecipe
from sususbot.corpus.tokens import token_counter
from sususbot.evaluation import measures
from sususbot.evaluation.charts import CHANCE
from sususbot.evaluation.compare import Compared, Side, compare
from sususbot.evaluation.evaluation import Measure, Report, evaluate
from sususbot.evaluation.figures import Figure, Section
from sususbot.evaluation.ground import Ground, Opening, System, Told, whole_bot
from sususbot.evaluation.heldout import Opened, open_ground
from sususbot.evaluation.replies import Replies, replies
from sususbot.linking.irc import read_logs
from sususbot.memory.context import ContextBuilder
from sususbot.memory.embedding import Embedder
from sususbot.memory.indexing import index
from sususbot.memory.lasting import Lasting
from sususbot.memory.lines import RememberedLines
from sususbot.model.backend import Backend, Sampling
from sususbot.model.estimate import SafeCount
from sususbot.model.recall import Recall
from sususbot.model.transformers import Transformers
from sususbot.safety.filter import OutputFilter
from sususbot.settings import FILTERS
from sususbot.training import from_scratch, run_folder
from sususbot.training.recipe import Recipe

BASE: Final = "base"
LORA: Final = "lora"
RECALL: Final = "recall"
_PERSONA: Final = "This is the chat of a server. sususbot is one of its members."
_OWN_NAME: Final = "sususbot"
_SEED: Final = 7
_DEADLINE: Final = 600.0
# A report's figures that a second run repeats; `cost` is times.
_MEASURED: Final = ("relevance", "language", "voice", "context", "facts", "leakage")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is done: `texts` that the base reads, `replies` that are measured, of them in `context` so many."""

    messages: int = 12_000
    base: str = "small"
    texts: int | None = 2500
    base_recipe: Recipe = field(default_factory=lambda: replace(from_scratch.pretraining_recipe(1_500_000), epochs=1))
    recipe: Recipe = field(default_factory=lambda: Recipe(learning_rate=2e-3, epochs=2, rows=1, evals_per_epoch=1))
    valid_share: float = 0.15
    replies: int = 300
    in_context: int = 60
    context_tokens: int = 640
    new_tokens: int = 40
    measured: Sequence[str] = _MEASURED


def bench_evaluating(
    exports: Sequence[Path],
    embedder: Embedder | None,
    told: Callable[[str], None],
    *,
    other: Sequence[Path] = (),
    messages: int | None = None,
    sizes: Sizes | None = None,
    scratch: Path | None = None,
    owner: Archive | None = None,
) -> Result:
    """`other` are annotated logs of IRC that the voice is told from; without any it is the sample community.

    All is made below `scratch`, without what `owner` leaves out.
    """
    sizes = sizes or Sizes()
    given = measures.Given(other=[line.text for path in other for log in read_logs(path) for line in _lines(log)])
    with tempfile.TemporaryDirectory(dir=scratch) as aside:
        place = Path(aside)
        with Archive(place) as archive:
            told("importing and building a corpus")
            fill(archive, exports, messages or sizes.messages, owner=owner)
            corpus = _corpus(archive, place, sizes)
            if embedder is not None:
                index(archive, embedder, lambda done, of: told(f"{done:,} of {of:,} messages embedded"))
            bases, made_s = timed(lambda: _made(corpus, place, sizes, told))
            (first, first_s), (second, _) = (
                timed(lambda: _report(archive, corpus, bases, embedder, given, place, sizes, told)) for _ in range(2)
            )
    return _result(first, second, made_s, first_s)


def _lines(log: Any) -> Iterator[Any]:
    return (line for line in log.lines if not line.system and line.text.strip())


def _corpus(archive: Archive, place: Path, sizes: Sizes) -> Corpus:
    recipe = CorpusRecipe(_OWN_NAME, _PERSONA, valid_share=sizes.valid_share, sample_tokens=sizes.context_tokens)
    return build(archive, place / "corpus", recipe, token_counter()).corpus


def _made(corpus: Corpus, place: Path, sizes: Sizes, told: Callable[[str], None]) -> dict[str, Path]:
    """The base, under BASE; the adapter, under LORA."""
    base = general_base(
        place / RUNS / BASE, general_texts(sizes.texts, reference=False), sizes.base, sizes.base_recipe, told
    )
    gain(corpus, base, place / RUNS / ADAPTER, sizes.recipe, told)
    return {BASE: base, LORA: place / RUNS / ADAPTER / run_folder.ADAPTER}


# -- measuring


def _report(
    archive: Archive,
    corpus: Corpus,
    made: Mapping[str, Path],
    embedder: Embedder | None,
    given: measures.Given,
    place: Path,
    sizes: Sizes,
    told: Callable[[str], None],
) -> Report:
    past = place / "past"
    shutil.rmtree(past, ignore_errors=True)
    served = _Served(str(made[BASE]), four_bit=False, context_tokens=sizes.context_tokens)
    openings = {
        LORA: _opening(LORA, lambda _: served.wearing(made[LORA]), sizes),
        BASE: _opening(BASE, lambda _: served.wearing(None), sizes),
        RECALL: _opening(RECALL, lambda ground: Recall(RememberedLines(ground.long_term)), sizes),
    }
    chosen = measures.chosen(sizes.measured, given)
    if "context" in chosen:
        chosen["context"] = _of_some(chosen["context"], sizes.in_context)
    opened = open_ground(corpus, archive, past, limit=sizes.replies, seed=_SEED, opened=Opened(embedder))
    with served.open(), opened as ground:
        return evaluate(
            openings, ground, measures=chosen, speak=replies, name="bench", settings={}, told=told,
            progress=lambda done, of, what: told(f"{what} ({done} of {of} steps)"),
        )  # fmt: skip


class _Served(Transformers):
    """The base, loaded once for a report: with and without its adapter, and not closed with a system that it serves."""

    def wearing(self, adapter: Path | None) -> Backend:
        self.use_adapter(adapter)
        return self

    def close(self) -> None:
        pass

    @contextmanager
    def open(self) -> Iterator[None]:
        try:
            yield
        finally:
            super().close()


def _of_some(measure: Measure, count: int) -> Measure:
    """Of so many exchanges, spread over all, and of the system with the adapter alone: each takes many prompts."""

    def measured(system: System, ground: Ground, said: Replies, told: Told) -> Section:
        if system.name != LORA:
            return Section("context", notes=("only measured with the adapter",))
        step = max(1, len(ground.exchanges) // count)
        return measure(system, replace(ground, exchanges=ground.exchanges[::step][:count]), said, told)

    return measured


def _opening(name: str, load: Callable[[Ground], Backend], sizes: Sizes) -> Opening:
    @contextmanager
    def opened(ground: Ground) -> Iterator[System]:
        backend = load(ground)
        counting = SafeCount(backend)
        context = ContextBuilder(
            persona=ground.persona,
            own_name=ground.own_name,
            tokens=sizes.context_tokens - sizes.new_tokens,
            count_tokens=counting.count_tokens,
            count_ahead=counting.count_ahead,
            lasting=Lasting(ground.archive),
        )
        sampling = Sampling(max_new_tokens=sizes.new_tokens, min_p=0.05, seed=ground.seed)
        with whole_bot(
            name, ground, backend, context, sampling, deadline=_DEADLINE, output=OutputFilter(FILTERS)
        ) as system:
            yield system

    return opened


# -- figures


def _result(first: Report, second: Report, made_s: float, measured_s: float) -> Result:
    beside_base = {f"{one.section}.{one.name}": one for one in compare(Side.of(first, LORA), Side.of(first, BASE))}
    recall, saved = _figure(first, RECALL, "relevance.said_accuracy"), _figure(first, LORA, "context.bits_saved_by_all")
    metrics: Metrics = {
        "lora_over_base_in_voice": _better(beside_base.get("voice.attributed")),
        "lora_over_base_in_language": _better(beside_base.get("language.reply_bits_per_byte")),
        "recall_over_chance": _above(recall, CHANCE),
        "context_over_none": _above(saved, 0.0),
        "reproduced": float(_same(first, second)),
        "replies": float(len(first.exchanges)),
        **{name: _told(_figure(first, LORA, key)) for name, key in _TOLD.items()},
        "voice_over_base": _told(_apart(beside_base.get("voice.attributed"))),
        "reply_bits_over_base": _told(_apart(beside_base.get("language.reply_bits_per_byte"))),
        "recall_relevance": _told(recall),
        "context_bits_saved": _told(saved),
        "context_bits_saved_by_recent": _told(_figure(first, LORA, "context.bits_saved_by_recent")),
        "context_bits_saved_by_memories": _told(_figure(first, LORA, "context.bits_saved_by_memories")),
        "making_s": made_s,
        "measuring_s": measured_s,
    }
    baseline: Metrics = {name: _told(_figure(first, BASE, key)) for name, key in _TOLD.items()}
    return Result(
        "eval",
        metrics,
        baseline | {"recall_relevance": {"value": CHANCE}},
        "an evaluation of a small base with a server's adapter, 95 % intervals, and whether a second says the same",
        "the base without the adapter; chance for recall",
    )


_TOLD: Final = {
    "voice": "voice.attributed",
    "voice_ceiling": "voice.ceiling",
    "voice_floor": "voice.floor",
    "voice_classifier_auc": "voice.classifier_auc",
    "bits_per_byte": "language.bits_per_byte",
    "reply_bits_per_byte": "language.reply_bits_per_byte",
    "relevance": "relevance.accuracy",
    "said_relevance": "relevance.said_accuracy",
    "copies": "leakage.copies",
    "leaks": "leakage.leaks",
}


def _figure(report: Report, system: str, key: str) -> Figure | None:
    section, _, name = key.partition(".")
    found = report.systems[system].get(section, Section(section)).figures.get(name)
    return None if found is None or math.isnan(found.value) else found


def _told(figure: Figure | None) -> dict[str, float | None] | None:
    return None if figure is None else {"value": figure.value, "low": figure.low, "high": figure.high}


def _apart(compared: Compared | None) -> Figure | None:
    return None if compared is None else compared.difference


def _better(compared: Compared | None) -> float | None:
    """1 where the first is better, pair by pair, on however few; None where it was not measured."""
    apart = _apart(compared)
    if compared is None or apart is None or apart.low is None or apart.high is None:
        return None
    return float(apart.low > 0 if compared.first.better == "higher" else apart.high < 0)


def _above(figure: Figure | None, bar: float) -> float | None:
    return None if figure is None or figure.low is None else float(figure.low > bar)


def _same(first: Report, second: Report) -> bool:
    """Every figure, item and reply, but what is of the hour. Compared as written, so that no number equals itself."""
    return str(_timeless(first)) == str(_timeless(second))


def _timeless(report: Report) -> Report:
    systems = {
        system: {name: section for name, section in sections.items() if name != "cost"}
        for system, sections in report.systems.items()
    }
    return replace(report, date="", systems=systems)
