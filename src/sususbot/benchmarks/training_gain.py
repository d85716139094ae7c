"""What an adapter brings: bits per byte on what a server says later, before and after it learned what it said earlier.

The base is a small one that read general text (`python_docs`) and nothing of the server; its vocabulary is of that
text, too. The control is an adapter that learned the same lines with the words of each in another order: names, words
and the form of a chat, but not how anything is said.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from sususbot.benchmarks import python_docs
from sususbot.benchmarks.training_ways import HARDWARE
from sususbot.corpus.manifest import TRAIN, VALID, Corpus, Writer
from sususbot.corpus.samples import Sample
from sususbot.training import from_scratch, run_folder
from sususbot.training.base import find_base
from sususbot.training.jobs import How, train_adapter, train_base
from sususbot.training.metrics import Event, Measured, StepDone
from sususbot.training.recipe import Recipe

Told = Callable[[str], None]

RUNS: Final = "runs"
ADAPTER: Final = "adapter"
_SEED: Final = 20_261_125
_APART: Final = 0.01
_TOLD_EVERY: Final = 100


class Gain(NamedTuple):
    """Bits per byte on what was kept apart; None where nothing was."""

    base: float | None
    adapter: float | None


def general_texts(limit: int | None, *, reference: bool = True) -> list[str]:
    """What a base reads before it hears a server, in an order by chance that is always the same.

    Without the language's `reference` where its voice is measured: it is the written English that voices are told from.
    """
    texts = python_docs.texts(reference=reference)
    random.Random(_SEED).shuffle(texts)
    return texts[:limit]


def general_base(run: Path, texts: Sequence[str], size: str, recipe: Recipe, told: Told) -> Path:
    """A small base that read these: its folder."""
    apart = max(1, round(_APART * len(texts)))
    how = _how(recipe, "base", told, from_scratch.PROCESSOR_PRECISION)
    train_base(texts[apart:], texts[:apart], run, how, size=size, authors={})
    return run / run_folder.MODEL


def gain(corpus: Corpus, base: Path, run: Path, recipe: Recipe, told: Told) -> Gain:
    """What an adapter that learns the corpus brings; it stays in `run`."""
    outcome = train_adapter(corpus, find_base(str(base), download=False), run, _how(recipe, run.name, told))
    return Gain(outcome.bits_per_byte_before, outcome.bits_per_byte)


def shuffled(corpus: Corpus, folder: Path) -> Corpus:
    """The corpus with the words of each line it teaches in another order."""
    chance = random.Random(_SEED)
    with Writer(folder) as writer:
        for sample in corpus.train():
            writer.add(TRAIN, _shuffled(sample, chance))
        for sample in corpus.valid():
            writer.add(VALID, sample)
        return writer.finish({key: value for key, value in corpus.manifest.items() if key != "files"})


def _shuffled(sample: Sample, chance: random.Random) -> Sample:
    turns = []
    for turn in sample.turns:
        words = turn.text.split(" ")
        chance.shuffle(words)
        turns.append(replace(turn, text=" ".join(words)))
    return replace(sample, turns=tuple(turns))


def _how(recipe: Recipe, name: str, told: Told, precision: str = HARDWARE.precision) -> How:
    def report(event: Event) -> None:
        match event:
            case StepDone() if event.step % _TOLD_EVERY == 0 or event.step == event.of:
                told(f"{name}: step {event.step} of {event.of}, {event.tokens_per_s:,.0f} tokens/s")
            case Measured():
                told(f"{name}: {event.bits_per_byte:.3f} bits per byte on what is kept apart")
            case _:
                pass

    return How(recipe, replace(HARDWARE, precision=precision), report=report)
