"""Replies that were held out by time: a corpus's own, each with what stood before it, and the ground they stand on.

In: a finished corpus, and the archive it was built of. Out: exchanges, spread evenly over the time after the split, so
that each channel has the share in them that it has in the talk; and a copy of the archive that ends at the split, with
a memory over it.
An exchange is a line that the bot was to learn by the corpus's own rules (played, an answer to somebody, with weight),
so what a model is measured on is what it was trained for. Whose words may not be learned any more, or are gone from the
archive since the corpus was built, are in none.
**Not held out** from one choice: training never learns of this text, but stops, and takes the best of its steps, by its
bits per byte. So an adapter is a little better here than on talk that nothing was chosen by; a base or recall is not.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from sususbot import chat_format
from sususbot.archive.archive import Archive
from sususbot.archive.past import copy_until
from sususbot.corpus.manifest import Corpus
from sususbot.corpus.samples import Sample, SampleTurn
from sususbot.errors import NothingHeldOut
from sususbot.evaluation.ground import Exchange, Ground
from sususbot.memory.embedding import Embedder
from sususbot.memory.long_term import LongTerm, Weights
from sususbot.memory.short_term import turn
from sususbot.memory.vector_index import ExactIndex
from sususbot.messages import Turn

# Fewer say nothing of a bot.
FEWEST: Final = 10
# Messages of a channel that a running bot sees, unless said otherwise.
WINDOW: Final = 20
# Messages before these, of which it has a summary.
EARLIER: Final = 30


@dataclass(frozen=True, slots=True)
class Opened:
    """What of a ground depends on settings: how memory is searched, and how much of it and of a channel is read.

    `earlier` is how many messages before the window are summed up; 0 for a bot that has no summaries.
    """

    embedder: Embedder | None = None
    weights: Weights | None = None
    memories: int = 5
    window: int = WINDOW
    earlier: int = EARLIER


@contextmanager
def open_ground(
    corpus: Corpus, archive: Archive, folder: Path, *, limit: int, seed: int, opened: Opened | None = None
) -> Iterator[Ground]:
    """The ground for systems to be measured on; `folder` holds the copy until the caller deletes it.

    Vectors of another embedder than the given one are not searched. Raises NothingHeldOut, and ArchiveFull where the
    copy has no room.
    """
    opened = opened or Opened()
    found = exchanges(corpus, archive, limit=limit, seed=seed, window=opened.window, earlier=opened.earlier)
    with copy_until(archive, folder, int(corpus.manifest["split_at"])) as past:
        fits = opened.embedder is not None and past.vectors.embedder() == opened.embedder.name
        searched = opened.embedder if fits else None
        index = None if searched is None else ExactIndex(searched.dimensions)
        with closing(LongTerm(past, searched, index, weights=opened.weights)) as long_term:
            yield Ground(
                corpus=corpus,
                archive=past,
                long_term=long_term,
                embedder=opened.embedder,
                exchanges=found,
                persona=corpus.persona,
                own_name=str(corpus.manifest["own_name"]),
                memories=opened.memories,
                seed=seed,
            )


def exchanges(
    corpus: Corpus, archive: Archive, *, limit: int, seed: int, window: int = WINDOW, earlier: int = EARLIER
) -> list[Exchange]:
    """At most `limit` replies that were held out, oldest first. The same seed gives the same. Raises NothingHeldOut."""
    if corpus.manifest["split_at"] is None:
        raise NothingHeldOut(
            f"the corpus {corpus.folder.name} keeps nothing apart to measure on: set VALID_SHARE above 0 and run  "
            "sususbot build  and  sususbot train  again"
        )
    places = sorted(_places(corpus), key=lambda place: (place.line.at, place.line.message_ids[0]))
    reading = _Reading(archive, window, earlier)
    found = [one for some in _spread(places, limit, seed) if (one := reading.first(some)) is not None]
    if len(found) < FEWEST:
        raise NothingHeldOut(
            f"only {len(found)} replies of the corpus {corpus.folder.name} were kept apart, and {FEWEST} are the least "
            "to measure on: import more messages, or raise VALID_SHARE, and run  sususbot build  again"
        )
    return found


def prompt_of(exchange: Exchange, persona: str, own_name: str) -> str:
    """What stands before the reply, as training reads it: no memories, nobody else's talk."""
    lines = [chat_format.line(one) for one in exchange.said]
    return chat_format.prompt(persona, lines[:-1], (), lines[-1], own_name)


def bare_prompt(persona: str, own_name: str) -> str:
    """The same with nothing said before: what is left to tell a reply by is the persona."""
    return f"{persona.strip()}\n\n{chat_format.speaker(own_name)}:"


def continuation(text: str) -> str:
    """A reply as it goes on from a prompt, with the newline that ends it, as training reads it."""
    return f" {chat_format.one_line(text)}\n"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a sample a reply stands."""

    sample: Sample
    number: int

    @property
    def line(self) -> SampleTurn:
        return self.sample.turns[self.number]


def _places(corpus: Corpus) -> Iterator[_Place]:
    """The lines that answer somebody and that the bot would learn; of a text in pieces, the first."""
    for sample in corpus.valid():
        for number, line in enumerate(sample.turns):
            answers = number > 0 and not sample.turns[number - 1].own
            if line.own and answers and line.weight > 0 and not line.unprompted and chat_format.one_line(line.text):
                yield _Place(sample, number)


def _spread(places: Sequence[_Place], limit: int, seed: int) -> Iterator[list[_Place]]:
    """`limit` stretches of time with equally many of them, each in an order by chance; all alone where they are few."""
    chance = np.random.default_rng([seed, 1])
    for some in np.array_split(np.arange(len(places)), min(limit, len(places)) or 1):
        yield [places[place] for place in chance.permutation(some)]


class _Reading:
    """Places to exchanges, as the archive has their messages now."""

    def __init__(self, archive: Archive, window: int, earlier: int) -> None:
        self._archive = archive
        self._window = window
        self._read = window + earlier

    def first(self, places: Sequence[_Place]) -> Exchange | None:
        """The first of these that still may be used."""
        return next((one for place in places if (one := self._exchange(place)) is not None), None)

    def _exchange(self, place: _Place) -> Exchange | None:
        lines = place.sample.turns[: place.number + 1]
        *before, reply = lines
        author = self._archive.author(place.sample.played)
        if author is None or not self._may_be_read(lines):
            return None
        # The mention, as a running bot would have it, is the message that is answered: others may have spoken since.
        asked = before[-1].message_ids[-1]
        found = self._archive.window(place.sample.channel_id, limit=self._read, before=asked + 1)
        if not found or found[-1].id != asked:
            return None
        turns = tuple(turn(message, author.id) for message in found)
        return Exchange(
            id=reply.message_ids[0],
            channel_id=place.sample.channel_id,
            author=author,
            at=reply.at,
            said=tuple(map(_turn, before)),
            recent=turns[-self._window :],
            reply=reply.text,
            earlier=turns[: -self._window],
        )

    def _may_be_read(self, lines: Sequence[SampleTurn]) -> bool:
        authors = {line.author_id for line in lines}
        ids = {id_ for line in lines for id_ in line.message_ids}
        may_be_learned = self._archive.consents.may_learn(authors) == authors
        return may_be_learned and self._archive.messages(ids).keys() == ids


def _turn(line: SampleTurn) -> Turn:
    return Turn(line.speaker, line.text, line.at, line.own, message_id=line.message_ids[-1], author_id=line.author_id)
