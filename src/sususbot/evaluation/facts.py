"""Whether a bot knows what was once said: questions about the sample community, whose answers are known.

In: a system. Out: how often a message that answers stood in what the model was shown, and how much of the answer its
reply then has. Asked over the sample, which is imported, settled and indexed as any server is, in an archive that is
thrown away: of the ground only the embedder is used. That is done once for all systems.

It is asked in a channel that everybody reads, so nothing from a private one may be shown: `private_shown` has to be 0.
What only a private channel answers is asked for that alone; what was never said has no answer to find, and is left out.

How much of an answer a reply has is told by words: of the answer's telling words (names, numbers, words that few of the
sample's messages have; none that the question has) the share that the reply has, by their stems. It knows no paraphrase
and takes no denial for one, and a reply of one line seldom has half; so it is shown beside what the same replies have
of the other questions' answers, which is chance.
"""

import tempfile
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from sususbot import sample
from sususbot.archive.archive import Archive
from sususbot.errors import CannotScore
from sususbot.evaluation.community import settle
from sususbot.evaluation.figures import Figure, Section, difference, mean, ratio, share
from sususbot.evaluation.ground import Ground, System, Told
from sususbot.evaluation.heldout import continuation
from sususbot.evaluation.replies import Replies, seeded, sendable, speak
from sususbot.evaluation.scores import bits, likelihoods, size
from sususbot.memory import indexing, terms
from sususbot.memory.context import Context
from sususbot.memory.lines import RememberedLines
from sususbot.memory.long_term import LongTerm
from sususbot.memory.surroundings import Hit
from sususbot.memory.vector_index import ExactIndex
from sususbot.messages import Audience, Message, Turn
from sususbot.model.backend import Backend
from sususbot.model.recall import Line, Recall
from sususbot.sample import Kind, Question

NAME: Final = "facts"
_ASKER: Final = "guest"
_HOUR_MS: Final = 3_600_000
# A word that more of the messages have tells no answer from another.
_RARE: Final = 0.02


# Of these a message that everybody may read holds the answer.
ANSWERED: Final[frozenset[Kind]] = frozenset({"fact", "person", "time", "joke", "changed"})


@dataclass(frozen=True, slots=True)
class Sought:
    """A question, what memory has next to it, lines that recall would choose from, the terms that tell its answer."""

    question: Question
    turn: Turn
    hits: Sequence[Hit]
    lines: Sequence[Line]
    telling: frozenset[int]


@dataclass(frozen=True, slots=True)
class Community:
    """What was sought in the sample, and its channels' names; a source of lines for recall."""

    sought: Sequence[Sought]
    names: Mapping[int, str]

    def lines(self, turns: Sequence[Turn], _audience: Audience) -> Sequence[Line]:
        """They were found for who may read what everybody reads."""
        return next(one.lines for one in self.sought if one.question.text == turns[-1].text)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, the prompts with memories and without, and what was said to each."""

    question: Question
    with_memories: Context
    without: Context
    said: str
    said_without: str


def community(ground: Ground, told: Told) -> Community:
    """The sample, searched for each question by what a ground searches by."""
    told("reading the sample community")
    embedder = ground.embedder
    with tempfile.TemporaryDirectory() as place, Archive(Path(place)) as archive:
        settle(archive, Path(place))
        if embedder is not None:
            indexing.index(archive, embedder)
        index = None if embedder is None else ExactIndex(embedder.dimensions)
        with closing(LongTerm(archive, embedder, index)) as memory:
            return _searched(archive, memory, ground.memories)


def _searched(archive: Archive, memory: LongTerm, limit: int) -> Community:
    names = {channel.id: channel.name for channel in archive.channels()}
    messages = [one for id_ in names for one in archive.window(id_, limit=1_000_000)]
    after = max(one.created_at for one in messages) + _HOUR_MS
    common = _common(messages, {name for several in archive.names().values() for name in several})
    audience, lines = sample.public_channels(), RememberedLines(memory)
    sought = []
    for question in sample.questions():
        turn = Turn(_ASKER, question.text, after)
        hits = memory.search(question.text, limit=limit, audience=audience, now=after).hits
        sought.append(Sought(question, turn, hits, lines.lines([turn], audience), _telling(question, common)))
    return Community(sought, names)


def _common(messages: Sequence[Message], names: Collection[str]) -> set[int]:
    """The terms that too many messages have; names are none of them."""
    said = Counter(term for one in messages for term in set(map(terms.term, terms.words(one.rendered))))
    common = {term for term, count in said.items() if count > _RARE * len(messages)}
    return common - {terms.term(word) for name in names for word in terms.words(name)}


def _telling(question: Question, common: Collection[int]) -> frozenset[int]:
    """The terms that tell this answer from others."""
    words = [word for word in terms.words(question.answer) if word not in terms.STOP_WORDS]
    found = {terms.term(word) for word in words if len(word) > 2 or word.isdigit()}
    return frozenset(found - set(common) - set(map(terms.term, terms.words(question.text))))


def facts(system: System, ground: Ground, _replies: Replies, told: Told, asked_of: Community) -> Section:
    """The measure. Raises the backend's ModelError."""
    backend = Recall(asked_of) if isinstance(system.backend, Recall) else system.backend
    answered = [one for one in asked_of.sought if one.question.kind in ANSWERED]
    asked = []
    for number, one in enumerate(answered):
        told(f"{number} of {len(answered)} questions")
        asked.append(_asked(system, backend, ground, asked_of, one, number))
    section = _section(asked, [one.telling for one in answered], backend)
    return replace(section, figures={**section.figures, "private_shown": _private_shown(system, asked_of)})


def told_of(reply: str, telling: frozenset[int]) -> float:
    """The share of an answer's telling terms that a reply has."""
    return len(telling & set(map(terms.term, terms.words(reply)))) / max(1, len(telling))


def _asked(system: System, backend: Backend, ground: Ground, asked_of: Community, one: Sought, number: int) -> Asked:
    having, lacking = (_context(system, asked_of, one, hits) for hits in (one.hits, ()))

    def said(context: Context, channel_id: int) -> str:
        spoken = speak(backend, context, seeded(system.sampling, ground.seed, number), channel_id)
        return sendable(spoken.text, context, ground.own_name)

    # Each question is a channel of its own, with memories and without. Recall reads no prompt.
    without = "" if isinstance(backend, Recall) else said(lacking, -2 * number - 2)
    return Asked(one.question, having, lacking, said(having, -2 * number - 1), without)


def _context(system: System, asked_of: Community, one: Sought, hits: Sequence[Hit]) -> Context:
    # Nothing was said before, so memories stand right before the question anyway.
    return system.context.placing(None).build(one.turn, (), hits, asked_of.names)


def _private_shown(system: System, asked_of: Community) -> Figure:
    """How many of all questions, also those about it, a message of a private channel was shown to."""
    public = sample.public_channels()
    shown = [_shown(_context(system, asked_of, one, one.hits)) for one in asked_of.sought]
    told = [{message.channel_id for message in some} - public for some in shown]
    return share(sum(map(bool, told)), len(told), "lower")


def _section(asked: Sequence[Asked], telling: Sequence[frozenset[int]], backend: Backend) -> Section:
    shown = [_is_shown(one) for one in asked]
    # An answer of common words alone is told by none of them.
    pairs = [(one, words) for one, words in zip(asked, telling, strict=True) if words]
    had = [told_of(one.said, words) for one, words in pairs]
    chance = [
        float(np.mean([told_of(one.said, words) for other, (_, words) in enumerate(pairs) if other != place]))
        for place, (one, _) in enumerate(pairs)
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
        without = [told_of(one.said_without, words) for one, words in pairs]
        figures["answer_told_without_memories"] = mean(without, None)
        figures["answer_told_by_memories"] = difference(had, without, "higher")
        items["answer_told_without_memories"] = without
    try:
        figures |= _likelihood(asked, backend)
    except CannotScore as error:
        notes.append(f"how likely the answers are was not measured: {error}")
    return Section(NAME, figures, items, tuple(notes))


def _shown(context: Context) -> list[Message]:
    return [one for hit in context.memories for one in hit.around]


def _is_shown(asked: Asked) -> bool:
    ids = {one.id for one in _shown(asked.with_memories)}
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
