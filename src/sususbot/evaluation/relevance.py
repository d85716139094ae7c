"""Relevance: how often the true reply is told from nine real ones from elsewhere (`candidates`); chance is one in ten.

Two questions, each with figures of its own:

- `accuracy`, of a backend that tells likelihoods: how much likelier does the talk before make a reply, log P(reply |
  talk) - log P(reply | persona alone)? Among candidates of which one came from the talk and nine from anywhere, this is
  the measure that errs least (the likelihood ratio); likelihood alone (`plain_accuracy`) prefers what is said often and
  what is short.
- `said_accuracy`, of whoever replied: which candidate is most like what was said, by the vectors of the memory, or by
  the words they share? It errs more: a good reply need not be like the true one, and who says again what was asked is
  like it often. But it is the same for every system, so it tells a model and recall apart.

All texts are without names (`nameless`): whom a reply names is no question of either.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from sususbot.errors import CannotScore
from sususbot.evaluation.candidates import COUNT, Candidates, candidates
from sususbot.evaluation.figures import Figure, Section, mean, share
from sususbot.evaluation.ground import Ground, System, Told
from sususbot.evaluation.heldout import bare_prompt, continuation, prompt_of
from sususbot.evaluation.nameless import nameless, names_of
from sususbot.evaluation.replies import Replies
from sususbot.evaluation.replies import replies as made
from sususbot.evaluation.scores import likelihoods
from sususbot.memory.embedding import Embedder
from sususbot.memory.terms import terms_of
from sususbot.model.backend import Backend

NAME: Final = "relevance"
# How often it is told how far it is.
_EACH: Final = 10

Scores = Sequence[float]
"""How well each candidate fits, in their order."""


@dataclass(frozen=True, slots=True)
class Rank:
    """Where the true reply stands among its candidates; several that fit alike share their places."""

    hit: float
    reciprocal: float


def relevance(system: System, ground: Ground, replies: Replies, told: Told) -> Section:
    """The measure. `accuracy` is the main figure, else `said_accuracy`.

    Replies that were not made beforehand are made where nothing else can be told.
    """
    among = candidates(ground)
    notes = [f"chance is {_chance(among):.3g}"]
    ranked: dict[str, list[Rank]] = {}
    try:
        plain, bare = _scored(system.backend, ground, among, told)
        informed = [np.subtract(with_talk, without).tolist() for with_talk, without in zip(plain, bare, strict=True)]
        ranked |= {"accuracy": ranks(informed, among), "plain_accuracy": ranks(plain, among)}
    except CannotScore as error:
        notes.append(f"told by what it said alone ({error})")
        replies = replies or made(system, ground, told)
    if replies:
        by, fits = _likenesses(ground, among, replies)
        ranked["said_accuracy"] = ranks(fits, among)
        notes.append(f"what it said is compared {by}")
    return _section(ranked, notes)


def ranks(scores: Sequence[Scores], among: Sequence[Candidates]) -> list[Rank]:
    """Where each true reply stands by these scores."""
    return [rank(some, one.true) for some, one in zip(scores, among, strict=True)]


def rank(scores: Scores, true: int) -> Rank:
    """A tie counts as drawing by chance among those that are tied would, on average."""
    fits = np.nan_to_num(np.asarray(scores, np.float64), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    better, alike = int((fits > fits[true]).sum()), int((fits == fits[true]).sum())
    places = range(better + 1, better + alike + 1)
    return Rank(0.0 if better else 1 / alike, sum(1 / place for place in places) / alike)


def _scored(
    backend: Backend, ground: Ground, among: Sequence[Candidates], told: Told
) -> tuple[list[list[float]], list[list[float]]]:
    """log P of each candidate after the talk, and after the persona alone. Raises CannotScore."""
    plain = []
    for place, (exchange, one) in enumerate(zip(ground.exchanges, among, strict=True)):
        if place % _EACH == 0:
            told(f"{place} of {len(among)}")
        prompt = prompt_of(exchange, ground.persona, ground.own_name)
        found = likelihoods(backend, prompt, [continuation(text) for text in one.texts])
        plain.append([scored.logprob for scored in found])
    told("each reply by itself")
    texts = list(dict.fromkeys(text for one in among for text in one.texts))
    alone = likelihoods(backend, bare_prompt(ground.persona, ground.own_name), [continuation(text) for text in texts])
    of = {text: scored.logprob for text, scored in zip(texts, alone, strict=True)}
    return plain, [[of[text] for text in one.texts] for one in among]


def _section(ranked: dict[str, list[Rank]], notes: Sequence[str]) -> Section:
    figures: dict[str, Figure] = {}
    items: dict[str, list[float]] = {}
    for name, some in ranked.items():
        items[name] = [one.hit for one in some]
        figures[name] = share(sum(items[name]), len(some), "higher")
    if "accuracy" in ranked:
        items["mean_reciprocal_rank"] = [one.reciprocal for one in ranked["accuracy"]]
        figures["mean_reciprocal_rank"] = mean(items["mean_reciprocal_rank"], "higher")
    return Section(NAME, figures, items, tuple(notes))


def _chance(among: Sequence[Candidates]) -> float:
    return sum(1 / len(one.texts) for one in among) / len(among) if among else 1 / COUNT


# -- by what was said


def _likenesses(ground: Ground, among: Sequence[Candidates], replies: Replies) -> tuple[str, list[Scores]]:
    """How alike each candidate and what was said are, and by what."""
    said = {one.exchange.id: one.text for one in replies}
    texts = nameless([said.get(exchange.id, "") for exchange in ground.exchanges], names_of(ground))
    if ground.embedder is not None:
        return "by meaning", _by_meaning(ground.embedder, texts, among)
    return "by the words that are shared", _by_words(texts, among)


def _by_meaning(embedder: Embedder, said: Sequence[str], among: Sequence[Candidates]) -> list[Scores]:
    """Cosines. What is not said is like nothing."""
    every = list(dict.fromkeys([*said, *(text for one in among for text in one.texts)]))
    vectors = dict(zip(every, embedder.embed(every), strict=True))
    fits: list[Scores] = []
    for text, one in zip(said, among, strict=True):
        theirs = np.stack([vectors[other] for other in one.texts])
        # Rounded: which of two equal texts is nearer is no question of the order of sums.
        cosines: npt.NDArray[np.float64] = (theirs @ vectors[text]).astype(np.float64).round(6)
        fits.append(cosines.tolist() if text.strip() else [0.0] * len(one.texts))
    return fits


def _by_words(said: Sequence[str], among: Sequence[Candidates]) -> list[Scores]:
    """Cosines of stems, each weighted by how few candidates have it."""
    pool = list(dict.fromkeys(text for one in among for text in one.texts))
    stems = {text: set(terms_of(text).tolist()) for text in dict.fromkeys([*pool, *said])}
    holders: dict[int, int] = {}
    for text in pool:
        for stem in stems[text]:
            holders[stem] = holders.get(stem, 0) + 1

    def weight(some: set[int]) -> float:
        return float(sum(np.log(1 + len(pool) / (holders.get(stem, 0) + 1)) ** 2 for stem in some))

    def fit(text: str, other: str) -> float:
        both = weight(stems[text]) * weight(stems[other])
        return round(weight(stems[text] & stems[other]) / np.sqrt(both), 9) if both else 0.0

    return [[fit(text, other) for other in one.texts] for text, one in zip(said, among, strict=True)]
