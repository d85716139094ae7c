"""Whether a bot knows what was once said: questions about the sample community, whose answers are known.

In: a system. Out: how often a message that answers stood in what the model was shown, and how much of the answer its
reply then has. Asked over the sample, which is imported and indexed as any server is, in an archive that is thrown
away: of the ground only the embedder is used.

How much of an answer a reply has is told by words: of the answer's telling words (names, numbers, words that few of the
sample's messages have; none that the question has) the share that the reply has, by their stems. It knows no paraphrase
and takes no denial for one, and a reply of one line seldom has half; so it is shown beside what the same replies have
of the other questions' answers, which is chance.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from sususbot import sample
from sususbot.archive.archive import Archive
from sususbot.errors import CannotScore
from sususbot.evaluation.figures import Figure, Section, difference, mean, ratio, share
from sususbot.evaluation.ground import Ground, System, Told
from sususbot.evaluation.heldout import continuation
from sususbot.evaluation.replies import Replies, seeded, sendable, speak
from sususbot.evaluation.scores import bits, likelihoods, size
from sususbot.memory import indexing, terms
from sususbot.memory.context import Context
from sususbot.memory.lines import RememberedLines
from sususbot.memory.long_term import LongTerm
from sususbot.memory.vector_index import ExactIndex
from sususbot.messages import Turn
from sususbot.model.backend import Backend
from sususbot.model.recall import Recall
from sususbot.sample import Question
from sususbot.sources.ingest import ingest

NAME: Final = "facts"
_ASKER: Final = "guest"
_HOUR_MS: Final = 3_600_000
# A word that more of the messages have tells no answer from another.
_RARE: Final = 0.02


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, the prompts with memories and without, and what was said to each."""

    question: Question
    with_memories: Context
    without: Context
    said: str
    said_without: str


class Community:
    """The sample as an archive with a memory over it, and the words in it that few use."""

    def __init__(self, archive: Archive, memory: LongTerm) -> None:
        self.memory = memory
        self.names = {channel.id: channel.name for channel in archive.channels()}
        messages = [one for id_ in self.names for one in archive.window(id_, limit=1_000_000)]
        self.after = max(one.created_at for one in messages) + _HOUR_MS
        said = Counter(term for one in messages for term in set(map(terms.term, terms.words(one.rendered))))
        names = {word for several in archive.names().values() for name in several for word in terms.words(name)}
        common = {term for term, count in said.items() if count > _RARE * len(messages)}
        self._common = common - set(map(terms.term, names))

    def telling(self, question: Question) -> frozenset[int]:
        """The terms that tell this answer from others."""
        words = [word for word in terms.words(question.answer) if word not in terms.STOP_WORDS]
        found = {terms.term(word) for word in words if len(word) > 2 or word.isdigit()}
        return frozenset(found - self._common - set(map(terms.term, terms.words(question.text))))


def facts(system: System, ground: Ground, _replies: Replies, told: Told) -> Section:
    """The measure. Raises the backend's ModelError."""
    with _community(ground, told) as community:
        backend = Recall(RememberedLines(community.memory)) if isinstance(system.backend, Recall) else system.backend
        questions = sample.questions()
        asked = []
        for number, question in enumerate(questions):
            told(f"{number} of {len(questions)} questions")
            asked.append(_asked(system, backend, ground, community, question, number))
    telling = [community.telling(one) for one in questions]
    return _section(asked, telling, backend)


def told_of(reply: str, telling: frozenset[int]) -> float:
    """The share of an answer's telling terms that a reply has."""
    return len(telling & set(map(terms.term, terms.words(reply)))) / max(1, len(telling))


@contextmanager
def _community(ground: Ground, told: Told) -> Iterator[Community]:
    told("reading the sample community")
    with tempfile.TemporaryDirectory() as place, Archive(Path(place)) as archive:
        for path in sample.exports():
            ingest(archive, path)
        embedder = ground.embedder
        if embedder is not None:
            indexing.index(archive, embedder)
        index = None if embedder is None else ExactIndex(embedder.dimensions)
        with closing(LongTerm(archive, embedder, index)) as memory:
            yield Community(archive, memory)


def _asked(
    system: System, backend: Backend, ground: Ground, community: Community, question: Question, number: int
) -> Asked:
    turn = Turn(_ASKER, question.text, community.after)
    hits = community.memory.search(question.text, limit=ground.memories, now=turn.at).hits
    # Nothing was said before, so memories stand right before the question anyway.
    builder = system.context.placing(None)
    having, lacking = (builder.build(turn, (), found, community.names) for found in (hits, ()))

    def said(context: Context, channel_id: int) -> str:
        spoken = speak(backend, context, seeded(system.sampling, ground.seed, number), channel_id)
        return sendable(spoken.text, context, ground.own_name)

    # Each question is a channel of its own, with memories and without. Recall reads no prompt.
    without = "" if isinstance(backend, Recall) else said(lacking, -2 * number - 2)
    return Asked(question, having, lacking, said(having, -2 * number - 1), without)


def _section(asked: Sequence[Asked], telling: Sequence[frozenset[int]], backend: Backend) -> Section:
    shown = [_is_shown(one) for one in asked]
    had = [told_of(one.said, words) for one, words in zip(asked, telling, strict=True)]
    chance = [
        float(np.mean([told_of(one.said, words) for other, words in enumerate(telling) if other != place]))
        for place, one in enumerate(asked)
    ]
    figures = {
        "answer_shown": share(sum(shown), len(shown), "higher"),
        "answer_told": mean(had, "higher"),
        "answer_told_by_chance": mean(chance, None),
        "answer_told_over_chance": difference(had, chance, "higher"),
    }
    items: dict[str, Sequence[float]] = {"answer_shown": list(map(float, shown)), "answer_told": had}
    notes = [f"{len(asked)} questions about the sample community; few, so the intervals are wide"]
    if isinstance(backend, Recall):
        notes.append("recall says nothing but memories: what it says without them was not asked")
    else:
        without = [told_of(one.said_without, words) for one, words in zip(asked, telling, strict=True)]
        figures["answer_told_without_memories"] = mean(without, None)
        figures["answer_told_by_memories"] = difference(had, without, "higher")
        items["answer_told_without_memories"] = without
    try:
        figures |= _likelihood(asked, backend)
    except CannotScore as error:
        notes.append(f"how likely the answers are was not measured: {error}")
    return Section(NAME, figures, items, tuple(notes))


def _is_shown(asked: Asked) -> bool:
    ids = {one.id for hit in asked.with_memories.memories for one in hit.around}
    return not ids.isdisjoint(asked.question.evidence)


def _likelihood(asked: Sequence[Asked], backend: Backend) -> dict[str, Figure]:
    """How likely the answer is to the model, with memories and without. Raises CannotScore."""
    texts = [continuation(one.question.answer) for one in asked]
    sizes = [float(size(text)) for text in texts]

    def costs(contexts: Sequence[Context]) -> list[float]:
        pairs = zip(contexts, texts, strict=True)
        return [bits(likelihoods(backend, context.prompt, [text])[0]) for context, text in pairs]

    having, lacking = costs([one.with_memories for one in asked]), costs([one.without for one in asked])
    mean_size = float(np.mean(sizes))
    saved = difference([one / mean_size for one in lacking], [one / mean_size for one in having], "higher")
    likelier = sum(with_ < without for with_, without in zip(having, lacking, strict=True))
    return {
        "answer_bits_per_byte": ratio(having, sizes, "lower"),
        "answer_bits_per_byte_without_memories": ratio(lacking, sizes, None),
        "answer_bits_saved_by_memories": saved,
        "answer_likelier_with_memories": share(likelier, len(asked), "higher"),
    }
