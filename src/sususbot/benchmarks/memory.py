"""Does long-term memory find what answers a question? On LoCoMo, by itself or within a whole server's talk.

Ours searches as the bot does. What a feature counts was fitted on the conversations of one file (`TUNED_ON`), so each
of these is searched by weights that were fitted anew on the others; any other conversation by the weights that are
shipped. Beside it, in the same run: the recipe that was the best before, vectors alone, words alone (`memory_recipe`).
Intervals are bootstrap intervals over questions.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from sususbot.archive.archive import Archive
from sususbot.benchmarks.haystack import copied, haystack
from sususbot.benchmarks.locomo import CUTS, Asked, Talk, interval, read_talks, recall
from sususbot.benchmarks.memory_fit import Example, asked_at, examples, fit, indexed
from sususbot.benchmarks.memory_recipe import Recipe
from sususbot.benchmarks.report import Metrics, Result
from sususbot.memory.embedding import Embedder
from sususbot.memory.long_term import LongTerm
from sususbot.memory.ranking import WEIGHTS
from sususbot.messages import Message

# The conversations that the shipped weights were fitted on.
TUNED_ON: Final = frozenset({"conv-26", "conv-30", "conv-41", "conv-42", "conv-43"})
_MOST: Final = CUTS[-1]

Search = Callable[[Talk, Asked], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Recalls:
    """One way of searching: for each question its category and its recall at each of CUTS."""

    categories: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]

    def metrics(self, by: str = "by_category") -> Metrics:
        """Recall overall, with its interval at 10, and, under `by`, of each category."""
        told: Metrics = {f"recall_at_{cut}": round(self.at(cut), 4) for cut in CUTS}
        low, high = interval(self._column(10))
        told |= {"recall_at_10_low": round(low, 4), "recall_at_10_high": round(high, 4)}
        told[by] = {
            name: {f"recall_at_{cut}": round(self.at(cut, name), 4) for cut in CUTS}
            for name in sorted(set(self.categories))
        }
        return told

    def at(self, cut: int, category: str | None = None) -> float:
        return float(np.mean(self._column(cut, category)))

    def gain(self, other: "Recalls") -> Metrics:
        """What this finds more than another at 10, with the interval over the same questions."""
        more = [mine - its for mine, its in zip(self._column(10), other._column(10), strict=True)]
        low, high = interval(more)
        return {"gain_at_10": round(float(np.mean(more)), 4), "gain_low": round(low, 4), "gain_high": round(high, 4)}

    def _column(self, cut: int, category: str | None = None) -> list[float]:
        place = CUTS.index(cut)
        named = zip(self.categories, self.values, strict=True)
        return [values[place] for name, values in named if category in (None, name)]


def bench_memory(
    locomo: Path,
    exports: Sequence[Path],
    embedder: Embedder,
    folder: Path,
    say: Callable[[str], None],
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    *,
    scratch: Path | None = None,
    owner: Archive | None = None,
) -> Result:
    """Each conversation by itself; with `exports`, all of them in one index with these messages around them, too.

    `folder` keeps the exports' archive (see `haystack`), `scratch` a copy of it for the while.
    """
    talks = read_talks(locomo)
    say("fitting weights on other conversations than each is measured on")
    weights = _weights(talks, embedder)
    say("searching each conversation by itself")
    ways = _by_themselves(talks, weights, embedder)
    found, baseline = _told(ways)
    metrics: Metrics = {"questions": len(ways["ours"].values), "messages": sum(len(one.messages) for one in talks)}
    metrics |= found
    if exports:
        haystack(folder, exports, embedder, progress, owner).close()
        say("searching all of them in one server")
        within, count = _within(talks, weights, exports, embedder, folder, scratch)
        mine, its = _told(within)
        metrics["haystack"] = {"messages": count} | mine
        baseline["haystack"] = its
    return Result(
        "memory",
        metrics,
        baseline,
        f"messages that answer a question, of {len(talks)} LoCoMo conversations, found among the first",
        "three vectors and three lists of words a message, mixed 0.6 to 0.4",
    )


def _told(ways: Mapping[str, Recalls]) -> tuple[Metrics, Metrics]:
    metrics = ways["ours"].metrics() | ways["ours"].gain(ways["recipe"])
    baseline = ways["recipe"].metrics()
    for name in ("vectors_alone", "words_alone"):
        baseline[name] = ways[name].metrics()
    return metrics, baseline


def _weights(talks: Sequence[Talk], embedder: Embedder) -> dict[str, dict[str, float]]:
    """Conversation -> weights that were not fitted on it."""
    known = {talk.name: talk for talk in talks if talk.name in TUNED_ON}
    taught = {name: examples(talk, embedder) for name, talk in known.items()} if len(known) > 1 else {}
    # Where no question of the others has an answer among its candidates, the shipped weights stand.
    return {name: fit(others) for name in taught if (others := _others(taught, name))}


def _others(taught: Mapping[str, list[Example]], name: str) -> list[Example]:
    return [one for other, theirs in taught.items() if other != name for one in theirs]


def _by_themselves(
    talks: Sequence[Talk], weights: Mapping[str, dict[str, float]], embedder: Embedder
) -> dict[str, Recalls]:
    recalled: dict[str, list[tuple[str, tuple[float, ...]]]] = {}
    for talk in talks:
        with tempfile.TemporaryDirectory() as place, Archive(Path(place)) as archive:
            memory = indexed(archive, [talk], embedder, weights.get(talk.name))
            recipe = Recipe(talk.messages, talk.session_of, embedder)
            for name, search in _ways(memory, recipe, private=True).items():
                recalled.setdefault(name, []).extend(_recalled(talk, search))
            memory.close()
    return {name: _gathered(rows) for name, rows in recalled.items()}


def _within(
    talks: Sequence[Talk],
    weights: Mapping[str, dict[str, float]],
    exports: Sequence[Path],
    embedder: Embedder,
    folder: Path,
    scratch: Path | None,
) -> tuple[dict[str, Recalls], int]:
    recalled: dict[str, list[tuple[str, tuple[float, ...]]]] = {}
    with tempfile.TemporaryDirectory(dir=scratch) as place, Archive(copied(folder, exports, Path(place))) as archive:
        memory = indexed(archive, talks, embedder)
        messages = [one for talk in talks for one in talk.messages]
        around = [one for one in _all(archive) if one.channel_id not in {talk.channel.id for talk in talks}]
        known = {
            int(id_): row for ids, _, matrix in archive.vectors.load() for id_, row in zip(ids, matrix, strict=True)
        }
        for one in messages:
            known.pop(one.id, None)
        sessions = {id_: session for talk in talks for id_, session in talk.session_of.items()}
        recipe = Recipe([*messages, *around], sessions, embedder, known)
        for talk in talks:
            memory.fitted = weights.get(talk.name, dict(WEIGHTS))
            for name, search in _ways(memory, recipe, private=False).items():
                recalled.setdefault(name, []).extend(_recalled(talk, search))
        memory.close()
        return {name: _gathered(rows) for name, rows in recalled.items()}, len(messages) + len(around)


def _all(archive: Archive) -> list[Message]:
    return [
        message
        for channel in archive.channels()
        for message in archive.window(channel.id, limit=10_000_000)
        if message.rendered
    ]


def _ways(memory: LongTerm, recipe: Recipe, *, private: bool) -> dict[str, Search]:
    def ours(talk: Talk, asked: Asked) -> Sequence[int]:
        audience = frozenset([talk.channel.id]) if private else None
        found = memory.search(asked.text, limit=_MOST, audience=audience, now=asked_at(talk))
        return [hit.message.id for hit in found.hits]

    everything = np.ones(len(recipe.ids), np.bool_)
    return {
        "ours": ours,
        "recipe": lambda _talk, asked: recipe.best(recipe.by_recipe(asked.text), everything, _MOST),
        "vectors_alone": lambda _talk, asked: recipe.best(recipe.by_vectors(asked.text), everything, _MOST),
        "words_alone": lambda _talk, asked: recipe.best(recipe.by_words(asked.text), everything, _MOST),
    }


def _recalled(talk: Talk, search: Search) -> list[tuple[str, tuple[float, ...]]]:
    return [(asked.category, tuple(recall(search(talk, asked), asked))) for asked in talk.asked]


def _gathered(rows: Sequence[tuple[str, tuple[float, ...]]]) -> Recalls:
    return Recalls(tuple(category for category, _ in rows), tuple(values for _, values in rows))
