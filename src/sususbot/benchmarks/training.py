"""How fast does training learn, against the same without packing and against TRL's trainer, and what does it bring?

**Speed**, in tokens of documents. Three ways train the same adapter on the same base with the same documents, drawn at
random from all there are (`training_ways`, `training_trl`), in turns, each in a process of its own.
Bare minimum: the same loop with batches of 8 filled up to their longest document.
**MFU**: the operations that the mathematics needs, by `training.shape`, over what the processor does in products of
large matrices at the same moment, with as many threads.
**What it brings**: `training_gain`.
"""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from random import Random
from statistics import median
from typing import Final

from sususbot.archive.archive import Archive
from sususbot.benchmarks.haystack import fill
from sususbot.benchmarks.report import Metrics, Result
from sususbot.benchmarks.training_gain import ADAPTER, RUNS, Gain, gain, general_base, shuffled
from sususbot.benchmarks.training_race import TRL, Raced, WayFailed, race, trl_python
from sususbot.benchmarks.training_ways import BATCH, write_order
from sususbot.corpus.build import build
from sususbot.corpus.manifest import Corpus
from sususbot.corpus.recipe import Recipe as CorpusRecipe
from sususbot.corpus.tokens import token_counter
from sususbot.training.base import find_base
from sususbot.training.batches import Steps
from sususbot.training.documents import Document, documents
from sususbot.training.metrics import CURVE
from sususbot.training.recipe import Recipe

_SEED: Final = 20_261_125
_PERSONA: Final = "This is the chat of a server. sususbot is one of its members."


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is done. Learning rates are higher than the 2.5e-4 of a 7B: the smaller a model, the more it bears."""

    base: str = "medium"
    base_recipe: Recipe = field(default_factory=lambda: Recipe(learning_rate=2e-3, epochs=1))
    recipe: Recipe = field(default_factory=lambda: Recipe(learning_rate=2e-3, epochs=1))
    texts: int | None = None
    rounds: int = 4
    documents: int = 96
    control: bool = True


def bench_train(
    exports: Sequence[Path],
    folder: Path,
    told: Callable[[str], None],
    *,
    messages: int | None = None,
    trl: bool = True,
    sizes: Sizes | None = None,
) -> Result:
    """`folder` keeps TRL's environment and the last learning curve; all else is gone afterwards."""
    sizes = sizes or Sizes()
    python: Path | WayFailed = WayFailed("not asked for")
    if trl:
        try:
            python = trl_python(folder / f"trl-{TRL}", told)
        except WayFailed as failure:
            python = failure
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        told("building a corpus")
        corpus = _corpus(exports, messages, place)
        base = general_base(place, sizes.base, sizes.base_recipe, sizes.texts, told)
        read = _learnable(corpus, base, sizes.recipe)
        told("training in turns: packed, padded, TRL")
        raced = _race(place, base, read, sizes, python)
        learned = gain(corpus, base, place / RUNS / ADAPTER, sizes.recipe, told)
        control = (
            gain(shuffled(corpus, place / "shuffled"), base, place / RUNS / "control", sizes.recipe, told)
            if sizes.control
            else None
        )
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(place / RUNS / ADAPTER / CURVE, folder / CURVE)
    told(f"the learning curve is {folder / CURVE}")
    return _result(raced, learned, control, Steps(read, sizes.recipe).fill)


def _corpus(exports: Sequence[Path], messages: int | None, folder: Path) -> Corpus:
    with Archive(folder) as archive:
        fill(archive, exports, messages)
        return build(archive, folder / "corpus", CorpusRecipe("sususbot", _PERSONA), token_counter()).corpus


def _learnable(corpus: Corpus, base: Path, recipe: Recipe) -> list[Document]:
    """Its documents as a training takes them."""
    read = documents(corpus.train(), corpus.persona, find_base(str(base), download=False).tokenizer)
    return [document.cut(recipe.pack_tokens) for document in read if document.weights.any()]


def _race(
    folder: Path, base: Path, read: Sequence[Document], sizes: Sizes, python: Path | WayFailed
) -> dict[str, Raced | WayFailed]:
    """All ways on the same documents, as they come: long and short ones."""
    mean = sum(map(len, read)) / len(read)
    accumulate = max(1, round(sizes.recipe.tokens_per_step / (BATCH * mean)))
    # Whole steps, so that a round ends where a step of the padded ways does.
    step = BATCH * accumulate
    size = step * max(1, round(sizes.documents / step))
    drawn = cycle(Random(_SEED).sample(read, len(read)))
    rounds = [list(islice(drawn, count)) for count in (step, *[size] * sizes.rounds)]
    order = folder / "order.json"
    write_order(order, base, rounds, sizes.recipe, accumulate)
    ways = race(order, len(rounds), python if isinstance(python, Path) else None)
    return {"trl": python, **ways} if isinstance(python, WayFailed) else ways


# -- the figures


def _result(raced: dict[str, Raced | WayFailed], learned: Gain, control: Gain | None, pack_fill: float) -> Result:
    packed, padded, trl = _done(raced["packed"]), _done(raced["padded"]), raced["trl"]
    metrics: Metrics = {
        "useful_tokens_per_s": _speed(packed),
        "speedup_vs_unpacked": _speedup(packed, padded),
        "speedup_vs_trl": _speedup(packed, trl) if isinstance(trl, Raced) else None,
        "useful_share": _useful(packed),
        "pack_fill": pack_fill,
        "mfu": median(taken.operations / taken.seconds / taken.rate for taken in packed.rounds),
        "matmul_gflops": median(taken.rate for taken in packed.rounds) / 1e9,
        "peak_rss_mb": packed.peak_rss_mb,
        "bits_per_byte_base": learned.base,
        "bits_per_byte_lora": learned.adapter,
        "bits_per_byte_drop": _drop(learned),
        "bits_per_byte_control": control.adapter if control is not None else None,
        "tokens": sum(taken.tokens for taken in packed.rounds),
    }
    baseline: Metrics = {
        "useful_tokens_per_s": _speed(padded),
        "useful_share": _useful(padded),
        "peak_rss_mb": padded.peak_rss_mb,
    }
    if isinstance(trl, Raced):
        baseline |= {
            "trl_useful_tokens_per_s": _speed(trl),
            "trl_useful_share": _useful(trl),
            "trl_peak_rss_mb": trl.peak_rss_mb,
        }
    beside = f"TRL {TRL} beside it" if isinstance(trl, Raced) else f"without TRL: {trl}"
    return Result(
        "train",
        metrics,
        baseline,
        f"LoRA on a small base, {beside}; bits per byte on what the server said later",
        f"the same loop unpacked, batches of {BATCH} filled up to their longest document",
    )


def _done(way: Raced | WayFailed) -> Raced:
    if isinstance(way, WayFailed):
        raise way
    return way


def _speed(way: Raced) -> float:
    return median(taken.tokens / taken.seconds for taken in way.rounds)


def _speedup(packed: Raced, other: Raced) -> float:
    """The median over rounds, in each of which both trained the same documents."""
    return median(theirs.seconds / ours.seconds for ours, theirs in zip(packed.rounds, other.rounds, strict=True))


def _useful(way: Raced) -> float:
    return sum(taken.tokens for taken in way.rounds) / sum(taken.positions for taken in way.rounds)


def _drop(learned: Gain) -> float | None:
    if learned.base is None or learned.adapter is None:
        return None
    return 1 - learned.adapter / learned.base
