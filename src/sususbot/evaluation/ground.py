"""What an evaluation stands on: replies that were held out by time, and everything that was known before them.

Nothing that was said at or after the split is in memory, in the archive that systems are built over, or in what voice
and leakage learn from: a system sees what it would have seen the day before.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass

from sususbot.archive.archive import Archive
from sususbot.corpus.manifest import Corpus
from sususbot.memory.context import ContextBuilder
from sususbot.memory.embedding import Embedder
from sususbot.memory.long_term import LongTerm
from sususbot.memory.short_term import ShortTerm
from sususbot.messages import Author, Turn
from sususbot.model.backend import Backend, Sampling
from sususbot.model.inference import Inference
from sususbot.responder import Responder
from sususbot.safety.filter import OutputFilter


@dataclass(frozen=True, slots=True)
class Exchange:
    """A reply that a member gave after the split, in the place of the bot, and what stood before it.

    `said` is the conversation before it as the corpus has it, oldest first, names given, the replier's own lines `own`
    and under the bot's name; the last is somebody else's. `recent` are the last turns of the channel before the reply
    as a running bot reads them, the replier's `own`; its last is the message that is answered. `reply` is what they
    said, as the corpus has it. `earlier` is what was said in the channel before `recent`: what a bot sums up.
    """

    id: int
    channel_id: int
    author: Author
    at: int
    said: tuple[Turn, ...]
    recent: tuple[Turn, ...]
    reply: str
    earlier: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True)
class Ground:
    """`archive`, `long_term` end at the split; `seed` decides every choice by chance."""

    corpus: Corpus
    archive: Archive
    long_term: LongTerm
    embedder: Embedder | None
    exchanges: Sequence[Exchange]
    persona: str
    own_name: str
    memories: int
    seed: int


@dataclass(frozen=True, slots=True)
class System:
    """Something that answers, ready to. `context` counts by its tokens; `responder` is the whole bot around it."""

    name: str
    backend: Backend
    context: ContextBuilder
    responder: Responder
    sampling: Sampling


Opening = Callable[[Ground], AbstractContextManager[System]]
"""Loads a system over a ground, and unloads it at the end: one at a time is in memory."""

Told = Callable[[str], None]
"""Hears in a sentence what is done now."""


@contextmanager
def whole_bot(
    name: str,
    ground: Ground,
    backend: Backend,
    context: ContextBuilder,
    sampling: Sampling,
    *,
    deadline: float,
    output: OutputFilter | None = None,
) -> Iterator[System]:
    """The bot around a backend, over a ground, with nothing behind it that answers in its stead."""
    with closing(Inference([backend], canned=["hm."], queue_size=4, deadline_seconds=deadline)) as inference:
        responder = Responder(
            archive=ground.archive,
            short_term=ShortTerm(ground.archive, window=20),
            long_term=ground.long_term,
            context=context,
            inference=inference,
            sampling=sampling,
            own_name=ground.own_name,
            memories=ground.memories,
            output=output,
        )
        yield System(name, backend, context, responder, sampling)
