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
from sususbot.benchmarks.training_gain import ADAPTER, RUNS, Gain, gain, general_base, general_texts, shuffled
from sususbot.benchmarks.training_race import TRL, Raced, WayFailed, race, trl_python
from sususbot.benchmarks.training_ways import BATCH, write_order
from sususbot.corpus.build import build
from sususbot.corpus.manifest import Corpus
from sususbot.corpus.recipe import Recipe as CorpusRecipe
from sususbot.corpus.tokens import token_counter
from sususbot.training import from_scratch
from sususbot.training.base import find_base
from sususbot.training.batches import Steps
from sususbot.training.documents import documents
from sususbot.training.metrics import CURVE
from sususbot.training.recipe import Recipe

_SEED: Final = 20_261_125
# What `training_gain.general_texts` takes of the vocabulary of a small base, roughly.
_GENERAL_TOKENS: Final = 780_000
_PERSONA: Final = "This is the chat of a server. sususbot is one of its members."


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is done.

    `raced` is the base that speed is measured on, with random weights: large enough that products of matrices are most
    of the work, as they are of a 7B. `base` is the one that learns; it is smaller, and wants a higher learning rate and
    smaller steps than a 7B.
    """

    raced: str = "medium"
    race: Recipe = field(default_factory=lambda: Recipe(epochs=1))
    rounds: int = 4
    documents: int = 72
    base: str = "small"
    base_recipe: Recipe = field(default_factory=lambda: from_scratch.pretraining_recipe(_GENERAL_TOKENS, size="small"))
    recipe: Recipe = field(default_factory=lambda: Recipe(learning_rate=2e-3, epochs=1, rows=1, evals_per_epoch=4))
    texts: int | None = None


def bench_train(
    exports: Sequence[Path],
    folder: Path,
    told: Callable[[str], None],
    *,
    messages: int | None = None,
    trl: bool = True,
    sizes: Sizes | None = None,
    scratch: Path | None = None,
    owner: Archive | None = None,
) -> Result:
    """`folder` keeps TRL's environment and the last learning curve; all else, below `scratch`, is gone afterwards.

    What `owner` leaves out is left out.
    """
    sizes = sizes or Sizes()
    python: Path | WayFailed = WayFailed("not asked for")
    if trl:
        try:
            python = trl_python(folder / f"trl-{TRL}", told)
        except WayFailed as failure:
            python = failure
    with tempfile.TemporaryDirectory(dir=scratch) as aside:
        place = Path(aside)
        told("building a corpus")
        corpus = _corpus(exports, messages, place, owner)
        texts = general_texts(sizes.texts)
        told(f"training in turns: packed, padded{', TRL' if isinstance(python, Path) else ''}")
        raced, pack_fill = _race(place, corpus, texts, sizes, python)
        base = general_base(place / RUNS / "base", texts, sizes.base, sizes.base_recipe, told)
        learned = gain(corpus, base, place / RUNS / ADAPTER, sizes.recipe, told)
        control = gain(shuffled(corpus, place / "shuffled"), base, place / RUNS / "control", sizes.recipe, told)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(place / RUNS / ADAPTER / CURVE, folder / CURVE)
    told(f"the learning curve is {folder / CURVE}")
    return _result(raced, pack_fill, learned, control)


def _corpus(exports: Sequence[Path], messages: int | None, folder: Path, owner: Archive | None) -> Corpus:
    with Archive(folder) as archive:
        fill(archive, exports, messages, owner=owner)
        return build(archive, folder / "corpus", CorpusRecipe("sususbot", _PERSONA), token_counter()).corpus


def _race(
    folder: Path, corpus: Corpus, texts: Sequence[str], sizes: Sizes, python: Path | WayFailed
) -> tuple[dict[str, Raced | WayFailed], float]:
    """All ways on the same documents, as they come: long and short ones. Also how full all of them pack."""
    base, recipe = folder / "raced", sizes.race
    from_scratch.begin(base, texts, sizes.raced, recipe)
    read = documents(corpus.train(), corpus.persona, find_base(str(base), download=False).tokenizer)
    read = [document.cut(recipe.pack_tokens) for document in read if document.weights.any()]
    # About the tokens of a packed step, in whole batches; and rounds of whole steps.
    accumulate = max(1, round(recipe.tokens_per_step / (BATCH * sum(map(len, read)) / len(read))))
    step = BATCH * accumulate
    size = step * max(1, round(sizes.documents / step))
    drawn = cycle(Random(_SEED).sample(read, len(read)))
    rounds = [list(islice(drawn, count)) for count in (step, *[size] * sizes.rounds)]
    order = folder / "order.json"
    write_order(order, base, rounds, recipe, accumulate)
    ways = race(order, len(rounds), python if isinstance(python, Path) else None)
    return {"trl": python, **ways} if isinstance(python, WayFailed) else ways, Steps(read, recipe).fill


# -- the figures


def _result(raced: dict[str, Raced | WayFailed], pack_fill: float, learned: Gain, control: Gain) -> Result:
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
        "bits_per_byte_control": control.adapter,
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
