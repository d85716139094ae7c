"""A whole training, from a corpus to what can be used: the checks before, the loop, what is written down.

Two kinds. An **adapter** for a base: a corpus's samples, each token with its weight. A **base** made here: a small
model of Mistral's shape and its tokenizer, from nothing but texts, every token alike.
What a run is stands in its manifest before the first step, the members whose words it learns first of all.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sususbot.artifacts import MANIFEST
from sususbot.corpus.manifest import Corpus
from sususbot.corpus.samples import Sample
from sususbot.errors import AdapterUnfit, CorpusChanged, CorpusEmpty, RunExists, SettingsError
from sususbot.training import from_scratch, run_folder, runs
from sususbot.training.base import (
    Base,
    attach_adapter,
    check_contract,
    check_length,
    find_base,
    fingerprint,
    load_weights,
    resume_adapter,
)
from sususbot.training.documents import Document, documents, plain, text_of
from sususbot.training.hardware import check_disk
from sususbot.training.metrics import Note, Report, draw_curve
from sususbot.training.processes import Processes
from sususbot.training.recipe import Hardware, Recipe
from sususbot.training.train_lora import Data, Learner, Machine, Outcome, fit

# Weights and AdamW's two states, all fp32, in each of the checkpoints kept: two, the best, and one being written.
_BYTES_A_WEIGHT: Final = 3 * 4 * 4
# What an owner may want otherwise when a run goes on: after gradients that were no numbers, or to be more patient.
_MAY_CHANGE: Final = frozenset({"learning_rate", "patience"})


@dataclass(frozen=True, slots=True)
class How:
    """What goes with every training: how often it is saved, who listens, when it is to stop."""

    recipe: Recipe
    hardware: Hardware
    resume: bool = False
    checkpoint_minutes: float = 10.0
    report: Report = lambda _event: None
    stop: Callable[[], bool] = lambda: False
    machine: Machine = lambda _tokens_per_s: ({}, None)
    measured: bool = False
    """Whether somebody will measure it at the end; only noted, so that who goes on with it does so, too."""


@dataclass(frozen=True, slots=True)
class Before:
    """An earlier training whose adapter learns on: its folder, and the time (ms) up to which it has read."""

    adapter: Path
    manifest: Mapping[str, Any]

    @property
    def learned_until(self) -> int:
        return int(self.manifest["learned_until"])


def train_adapter(corpus: Corpus, base: Base, run: Path, how: How, *, before: Before | None = None) -> Outcome:
    """Corpus to adapter, in `run`. Raises TrainingError, CorpusError, SettingsError; what is on disk can be resumed."""
    processes = Processes(cpu=how.hardware.device == "cpu")
    check_length(base, how.recipe.pack_tokens)
    since = before.learned_until if before is not None else None
    train, cut = _documents(_newer(corpus.train(), since), corpus, base, how.recipe)
    valid, _ = _documents(corpus.valid(), corpus, base, how.recipe)
    if not train:
        raise CorpusEmpty(_nothing_to_learn(corpus, since))
    facts = {
        "kind": run_folder.LORA,
        "authors": _authors(corpus, base, before, run),
        "corpus": {"name": corpus.manifest["name"], "files": corpus.manifest["files"]},
        "base": base.as_json(),
        "continued": before.manifest["name"] if before is not None else None,
        "learned_until": max(since or 0, max(document.at for document in train)),
    }
    with _begun(run, facts, how, processes):
        model = load_weights(base, how.hardware)
        if before is None:
            model = attach_adapter(model, how.recipe, how.hardware)
        else:
            model = resume_adapter(model, before.adapter, how.hardware)
        check_contract(model, base, how.hardware)
        learner = Learner(model, lambda folder: run_folder.publish_adapter(model, base.name, folder))
        return _fitted(learner, Data(train, valid), run, how, processes, cut)


def train_base(
    texts: Sequence[str],
    kept_apart: Sequence[str],
    run: Path,
    how: How,
    *,
    size: str,
    authors: Mapping[int, float],
    corpus: Mapping[str, Any] | None = None,
    learned_until: int | None = None,
) -> Outcome:
    """Texts to a small base of their own, with its tokenizer, in `run`/model.

    `authors` are those who wrote them, `learned_until` is when the last of them was written (ms).
    """
    processes = Processes(cpu=how.hardware.device == "cpu")
    facts = {
        "kind": run_folder.BASE,
        "authors": {str(author): mass for author, mass in authors.items()},
        "corpus": corpus,
        "size": size,
        **({} if learned_until is None else {"learned_until": learned_until}),
    }
    with _begun(run, facts, how, processes):
        start = run / from_scratch.START
        if processes.first and not (start / "config.json").is_file():
            from_scratch.begin(start, texts, size, how.recipe)
        processes.wait()
        base = find_base(str(start), download=False)
        # Whatever products are computed in: weights that learn are fp32.
        model = load_weights(base, replace(how.hardware, precision="fp32")).requires_grad_(True)
        data, cut = [], 0
        for some in (texts, kept_apart):
            whole = plain(some, base.tokenizer)
            cut += sum(len(document) > how.recipe.pack_tokens for document in whole)
            data.append([document.cut(how.recipe.pack_tokens) for document in whole])
        learner = Learner(model, lambda folder: run_folder.publish_model(model, start, folder))
        return _fitted(learner, Data(*data), run, how, processes, cut)


def corpus_texts(corpus: Corpus) -> tuple[list[str], list[str]]:
    """A corpus as texts to make a base of: to learn, and kept apart."""
    train = [text_of(sample, corpus.persona) for sample in corpus.train()]
    if not train:
        raise CorpusEmpty(_nothing_to_learn(corpus, None))
    return train, [text_of(sample, corpus.persona) for sample in corpus.valid()]


def finished(run: Path) -> Outcome | None:
    """How a run ended that came to its end; None for any other."""
    if not (run / MANIFEST).is_file():
        return None
    manifest = run_folder.read_manifest(run)
    return Outcome(**manifest["outcome"]) if manifest["state"] == "finished" else None


def went_on_from(run: Path) -> str | None:
    """The name of the run whose adapter this one began with; None where it began anew, or is not there."""
    return run_folder.read_manifest(run).get("continued") if (run / MANIFEST).is_file() else None


def earlier(folder: Path, base: Base, recipe: Recipe) -> Before:
    """The training to go on from: a run's folder. Raises RunMissing, and AdapterUnfit where it does not fit."""
    manifest = run_folder.read_manifest(folder)
    adapter = folder / run_folder.ADAPTER
    if manifest["kind"] != run_folder.LORA or not (adapter / "adapter_config.json").is_file():
        raise AdapterUnfit(f"{folder.name} has no adapter that could go on learning: train one first")
    if manifest["base"]["fingerprint"] != fingerprint(base.folder):
        raise AdapterUnfit(
            f"the adapter of {folder.name} was made for the base {manifest['base']['name']}, and this is another one "
            f"({base.name}): set BASE_MODEL back, or train a new adapter"
        )
    theirs = manifest["recipe"]
    if odd := [name for name in ("rank", "alpha") if theirs[name] != getattr(recipe, name)]:
        told = ", ".join(f"LORA_{name.upper()}={theirs[name]}" for name in odd)
        raise SettingsError(f"the adapter of {folder.name} was made with {told}: set that, or train a new adapter")
    return Before(adapter, manifest)


# -- what both do


class _begun:  # noqa: N801  (a context manager, used like a function)
    """The run's folder, ready: written down anew, or found to be the same training. Alone in it until the end."""

    def __init__(self, run: Path, facts: Mapping[str, Any], how: How, processes: Processes) -> None:
        self._run = run
        self._facts = {**facts, "name": run.name, "recipe": how.recipe.as_json()}
        # By its process a run can be told to stop, also by who did not start it.
        self._now = {
            "state": "training",
            "hardware": how.hardware.as_json(),
            "process": os.getpid(),
            "measured": how.measured,
        }
        self._resume = how.resume
        self._first = processes.first
        self._alone: Any = None

    def __enter__(self) -> None:
        if not self._first:
            return
        self._alone = run_folder.alone(self._run)
        self._alone.__enter__()
        try:
            if self._resume and (self._run / MANIFEST).is_file():
                _check_same(run_folder.read_manifest(self._run), self._facts)
                run_folder.note(self._run, **self._now, recipe=self._facts["recipe"])
            else:
                run_folder.begin(self._run, {**self._facts, **self._now})
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise

    def __exit__(self, *why: object) -> None:
        if self._alone is not None:
            self._alone.__exit__(*why)


def _fitted(learner: Learner, data: Data, run: Path, how: How, processes: Processes, cut: int) -> Outcome:
    weights = sum(weight.numel() for weight in learner.weights().values())
    if processes.first:
        check_disk(run, weights * _BYTES_A_WEIGHT)
    if cut:
        how.report(
            Note(0, f"{cut:,} conversations are longer than PACK_TOKENS={how.recipe.pack_tokens} and lose their end")
        )
    if not data.valid:
        how.report(Note(0, "nothing was kept apart to measure on, so it learns to the last step: see VALID_SHARE"))
    outcome = fit(
        learner,
        data,
        how.recipe,
        how.hardware,
        run,
        processes,
        report=how.report,
        resume=how.resume,
        checkpoint_minutes=how.checkpoint_minutes,
        stop=how.stop,
        machine=how.machine,
    )
    if processes.first:
        run_folder.note(run, state="stopped" if outcome.stopped else "finished", outcome=outcome._asdict())
        draw_curve(run)
    return outcome


def _check_same(manifest: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Whether going on is the same training. Raises RunExists, CorpusChanged, AdapterUnfit, SettingsError."""
    name = manifest["name"]
    if manifest["kind"] != facts["kind"]:
        raise RunExists(f"the run {name} is of the kind {manifest['kind']}: resume it as what it is, or choose --name")
    if manifest["corpus"] != facts["corpus"]:
        raise CorpusChanged(
            f"the corpus was built anew since the run {name} began: begin a new run with --name, or go on from its "
            f"adapter with  --continue {name}"
        )
    if manifest.get("base", {}).get("fingerprint") != facts.get("base", {}).get("fingerprint"):
        raise AdapterUnfit(f"the run {name} is of the base {manifest['base']['name']}: set BASE_MODEL back to it")
    if manifest["continued" if "continued" in facts else "kind"] != facts.get("continued", facts["kind"]):
        raise RunExists(f"the run {name} began another way: give the same --continue, or choose another --name")
    theirs, ours = manifest["recipe"], facts["recipe"]
    if odd := [f"{key} {theirs.get(key)}" for key in sorted(ours.keys() - _MAY_CHANGE) if ours[key] != theirs.get(key)]:
        raise SettingsError(
            f"the run {name} was begun with other settings ({', '.join(odd)}): set them back, or begin a new run"
        )


def _documents(samples: Iterator[Sample], corpus: Corpus, base: Base, recipe: Recipe) -> tuple[list[Document], int]:
    """What is learned of samples, and how many are too long for a row and lose their end."""
    whole = documents(samples, corpus.persona, base.tokenizer)
    cut = sum(len(document) > recipe.pack_tokens for document in whole)
    return [document.cut(recipe.pack_tokens) for document in whole if document.weights.any()], cut


def _newer(samples: Iterator[Sample], since: int | None) -> Iterator[Sample]:
    return (sample for sample in samples if since is None or max(turn.at for turn in sample.turns) > since)


def _nothing_to_learn(corpus: Corpus, since: int | None) -> str:
    if since is not None:
        return f"the corpus {corpus.manifest['name']} holds nothing newer: import what came since, then  sususbot build"
    return (
        f"the corpus {corpus.manifest['name']} holds nothing to learn: run  sususbot build  again and read what it says"
    )


def _authors(corpus: Corpus, base: Base, before: Before | None, run: Path) -> dict[str, float]:
    """Everybody whose words are in the adapter, or in what it is put upon."""
    masses = {str(author): mass for author, mass in corpus.authors.items()}
    of_base = runs.run_of(base.folder, run.parent.parent)
    for author in (of_base.authors if of_base is not None else None) or ():
        masses.setdefault(str(author), 0.0)
    for author, mass in (before.manifest["authors"] if before is not None else {}).items():
        masses[author] = masses.get(author, 0.0) + mass
    return masses
