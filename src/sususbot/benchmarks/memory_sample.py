"""Does long-term memory find what answers a question about a server of friends? On the sample community.

Asked in a channel that everybody reads. Questions that it holds the answer to are measured by the messages of the
answer that are found, by kind, beside the recipe, vectors and words alone (`memory_recipe`). The other two kinds by
themselves: what only a private channel answers must not be found there, but where its members ask; and of what was
never said there is nothing to find, so all there can be is a lower score of the best that was found.
No weight was fitted on it; sixty questions tell little of small differences, so the intervals are wide.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from sususbot import sample
from sususbot.archive.archive import Archive
from sususbot.benchmarks.locomo import CUTS, Asked, recall
from sususbot.benchmarks.memory import Recalls
from sususbot.benchmarks.memory_recipe import Recipe, Scores
from sususbot.benchmarks.report import Metrics, Result
from sususbot.evaluation.community import settle
from sususbot.evaluation.facts import ANSWERED
from sususbot.memory.embedding import Embedder
from sususbot.memory.indexing import index
from sususbot.memory.long_term import LongTerm
from sususbot.memory.surroundings import Hit
from sususbot.memory.vector_index import ExactIndex
from sususbot.messages import Audience, Message
from sususbot.sample import Question

_MOST: Final = CUTS[-1]
_HOUR_MS: Final = 3_600_000
_BY: Final = "by_kind"


def bench_memory_of_sample(
    embedder: Embedder, progress: Callable[[int, int], None] = lambda _done, _all: None
) -> Result:
    """Recall overall and by kind; what must not be found; how well scores tell that there is an answer."""
    with tempfile.TemporaryDirectory() as place, Archive(Path(place)) as archive:
        settle(archive, Path(place))
        index(archive, embedder, progress)
        messages = _public(archive)
        with closing(LongTerm(archive, embedder, ExactIndex(embedder.dimensions))) as memory:
            found = _search(memory, max(one.created_at for one in messages) + _HOUR_MS)
        return _result(found, Recipe(messages, _sittings(messages), embedder), len(messages))


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found for a question where everybody reads, and for who may read everything."""

    question: Question
    public: Sequence[Hit]
    inside: Sequence[Hit]


# The ids of what answers a question, best first.
Search = Callable[[_Found], Sequence[int]]


def _search(memory: LongTerm, now: int) -> list[_Found]:
    everywhere = frozenset(room.id for room in sample.channels())

    def hits(question: Question, audience: Audience) -> Sequence[Hit]:
        return memory.search(question.text, limit=_MOST, audience=audience, now=now).hits

    return [
        _Found(one, hits(one, sample.public_channels()), hits(one, everywhere) if one.kind == "private" else ())
        for one in sample.questions()
    ]


def _result(found: Sequence[_Found], recipe: Recipe, messages: int) -> Result:
    ways = {name: _recalled(search, found) for name, search in _ways(recipe).items()}
    metrics: Metrics = {"questions": len(found), "messages": messages}
    metrics |= ways["ours"].metrics(_BY) | ways["ours"].gain(ways["recipe"])
    metrics |= _private(found) | {"never_said_told_apart": round(_told_apart(found), 4)}
    baseline = ways["recipe"].metrics(_BY)
    baseline |= {name: ways[name].metrics(_BY) for name in ("vectors_alone", "words_alone")}
    return Result(
        "memory",
        metrics,
        baseline,
        "messages that answer a question about the sample community, found among the first",
        "three vectors and three lists of words a message, mixed 0.6 to 0.4",
    )


def _ways(recipe: Recipe) -> Mapping[str, Search]:
    everything = np.ones(len(recipe.ids), np.bool_)

    def by(scores: Callable[[str], Scores]) -> Search:
        return lambda one: recipe.best(scores(one.question.text), everything, _MOST)

    return {
        "ours": lambda one: _ids(one.public),
        "recipe": by(recipe.by_recipe),
        "vectors_alone": by(recipe.by_vectors),
        "words_alone": by(recipe.by_words),
    }


def _ids(hits: Sequence[Hit]) -> list[int]:
    return [hit.message.id for hit in hits]


def _recalled(search: Search, found: Sequence[_Found]) -> Recalls:
    answered = [one for one in found if one.question.kind in ANSWERED]
    rows = [tuple(recall(search(one), _asked(one.question))) for one in answered]
    return Recalls(tuple(one.question.kind for one in answered), tuple(rows))


def _asked(question: Question) -> Asked:
    return Asked(question.text, question.kind, question.evidence)


def _private(found: Sequence[_Found]) -> Metrics:
    """Of all questions, those to which something private was found; and what its own members find of theirs."""
    public = sample.public_channels()
    shown = [{message.channel_id for hit in one.public for message in hit.around} - public for one in found]
    theirs = [recall(_ids(one.inside), _asked(one.question)) for one in found if one.question.kind == "private"]
    return {
        "private_shown": sum(map(bool, shown)) / len(found),
        "private_recall_at_10_for_members": round(float(np.mean(theirs, axis=0)[CUTS.index(10)]), 4),
    }


def _told_apart(found: Sequence[_Found]) -> float:
    """How often the best found scores higher where there is an answer than where there is none; by chance, 0.5."""
    best = {one.question: max((hit.score for hit in one.public), default=0.0) for one in found}
    having = [score for question, score in best.items() if question.kind in ANSWERED]
    lacking = [score for question, score in best.items() if question.kind == "never_said"]
    return float((np.sign(np.subtract.outer(having, lacking)) + 1).mean() / 2)


def _public(archive: Archive) -> list[Message]:
    """What may be remembered and everybody may read: what the ways beside ours search, too."""
    remembered = {int(id_) for ids, _, _ in archive.vectors.load() for id_ in ids}
    rooms = [room.id for room in sample.channels() if not room.private]
    said = [one for room in rooms for one in archive.window(room, limit=1_000_000)]
    return [one for one in said if one.id in remembered]


def _sittings(messages: Sequence[Message]) -> dict[int, int]:
    """Message -> sitting: in a channel, until nobody says anything for an hour."""
    sittings: dict[int, int] = {}
    before: Message | None = None
    for one in messages:
        apart = before is None or one.channel_id != before.channel_id or one.created_at - before.created_at > _HOUR_MS
        sittings[one.id] = len(sittings) if apart or before is None else sittings[before.id]
        before = one
    return sittings
