"""The first pass over an archive: read, clean, consent, segment. Conversations go to a file, sizes stay in memory.

What nobody answers is not stored: there is nothing in it that a bot could learn to say.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Final

import orjson

from sususbot.archive.archive import Archive
from sususbot.corpus import near, plan
from sususbot.corpus.clean import Cleaned, People, clean
from sususbot.corpus.consent import CONSENT, consented
from sususbot.corpus.recipe import Recipe
from sususbot.corpus.samples import Part, Said, Shape, line_tokens, parts, prompted
from sususbot.corpus.segment import Conversation, segment
from sususbot.corpus.tally import Tally
from sususbot.corpus.tokens import TokenCounter
from sususbot.messages import Message

# Told how many messages were read.
Progress = Callable[[int], None]

# Why messages that cleaning and consent let through are in no sample.
UNANSWERED: Final = "unanswered"
REPEATED: Final = "repeated"
ACROSS: Final = "across_split"

_TEXTS_AT_ONCE: Final = 2000
_PROGRESS_EVERY: Final = 5000


@dataclass(frozen=True, slots=True)
class Stored:
    """A part of a conversation in the temporary file, and what planning needs of it."""

    channel_id: int
    first_id: int
    number: int
    offset: int
    length: int
    messages: int
    size: plan.Size
    signature: near.Signature | None

    @property
    def order(self) -> tuple[int, int, int, int]:
        return self.size.start, self.channel_id, self.first_id, self.number


class Gathering:
    """From the archive to conversations in a temporary file."""

    def __init__(
        self, archive: Archive, recipe: Recipe, counter: TokenCounter, shape: Shape, scratch: IO[bytes]
    ) -> None:
        self._archive = archive
        self._recipe = recipe
        self._counter = counter
        self._shape = shape
        self._scratch = scratch
        self.accounts = archive.authors()
        members = [id_ for id_, author in self.accounts.items() if not author.is_bot]
        self.learnable = archive.consents.may_learn(members)
        known_as = archive.names()
        self.people = People(
            {id_: author.display_name for id_, author in self.accounts.items()},
            {id_: known_as[id_] for id_ in members if id_ not in self.learnable},
        )
        self.tally = Tally(quotable=archive.consents.may_quote(members))
        self.left_out: Counter[str] = Counter({CONSENT: 0, UNANSWERED: 0, REPEATED: 0, ACROSS: 0})
        self._content = hashlib.sha256(repr(sorted(self.learnable)).encode())

    @property
    def content_hash(self) -> str:
        """Of all that was read: which messages, what they say, and who agreed."""
        return self._content.hexdigest()

    def gather(self, progress: Progress) -> list[Stored]:
        """All conversations that somebody answers in, in the order of time."""
        cleaned = self.tally.count(clean(self._read(progress), self._recipe.rules, self.people))
        stored: list[Stored] = []
        waiting: list[Conversation] = []
        texts = 0
        for conversation in segment(self._agreed(cleaned), self._recipe.linking):
            if not self._has_answer(conversation):
                self.left_out[UNANSWERED] += len(conversation.lines)
                continue
            waiting.append(conversation)
            texts += len(conversation.lines)
            if texts >= _TEXTS_AT_ONCE:
                stored += self._store(waiting)
                waiting, texts = [], 0
        stored += self._store(waiting)
        return sorted(stored, key=lambda one: one.order)

    def _read(self, progress: Progress) -> Iterator[Message]:
        done = 0
        for done, message in enumerate(self._heard(), start=1):
            self._content.update(
                f"{message.id} {message.author.id} {message.edited_at} {message.rendered}\0".encode(errors="replace")
            )
            if done % _PROGRESS_EVERY == 0:
                progress(done)
            yield message
        progress(done)

    def _heard(self) -> Iterator[Message]:
        audience = self._recipe.audience
        history = self._archive.history()
        return history if audience is None else (one for one in history if one.channel_id in audience)

    def _agreed(self, cleaned: Iterable[Cleaned]) -> Iterator[Cleaned]:
        for one in consented(cleaned, self.learnable):
            self.left_out[CONSENT] += CONSENT in one.rules
            yield one

    def part(self, stored: Stored) -> Part:
        """A part as it was stored."""
        self._scratch.seek(stored.offset)
        cut, ends, before, lines = orjson.loads(self._scratch.read(stored.length))
        return Part(stored.channel_id, stored.number, _said(before), _said(lines), cut, ends)

    def _may_play(self, author: int) -> bool:
        return self._recipe.persona is None or author in self._recipe.persona

    def _has_answer(self, conversation: Conversation) -> bool:
        """Whether somebody who may be played says something there after somebody else."""
        heard = set()
        for line in conversation.lines:
            author = line.message.author.id
            heard.add(author)
            if len(heard) > 1 and not line.marked and self._may_play(author):
                return True
        return False

    def _store(self, conversations: Sequence[Conversation]) -> Iterator[Stored]:
        """Count tokens, many at once, divide and write."""
        texts = [part for one in conversations for line in one.lines for part in line.parts]
        tokens = iter(line_tokens(texts, self._counter.count))
        for conversation in conversations:
            said = [
                Said(
                    (message.id,),
                    message.author.id,
                    message.created_at,
                    part,
                    next(tokens),
                    line.marked,
                    message.reply_to,
                )
                for line in conversation.lines
                for message in (line.message,)
                for part in line.parts
            ]
            span = said[0].at, said[-1].at
            seen: set[int] = set()
            for part in parts(conversation.channel_id, said, self._shape, cut=conversation.cut):
                ids = {id_ for one in part.lines for id_ in one.message_ids} - seen
                seen |= ids
                sizes = tuple((author, *counts) for author, counts in prompted(part).items())
                if any(answers and self._may_play(author) for author, _, answers in sizes):
                    yield self._stored(part, span, sizes, len(ids))
                else:
                    self.left_out[UNANSWERED] += len(ids)

    def _stored(
        self, part: Part, span: tuple[int, int], sizes: tuple[tuple[int, int, int], ...], messages: int
    ) -> Stored:
        row = orjson.dumps([part.cut, part.ends, _columns(part.before), _columns(part.lines)])
        offset = self._scratch.tell()
        self._scratch.write(row)
        return Stored(
            part.channel_id,
            part.lines[0].message_ids[0],
            part.number,
            offset,
            len(row),
            messages,
            plan.Size(*span, sum(one.tokens for one in part.lines), sizes),
            near.signature([one.text for one in part.lines]),
        )


_Columns = tuple[tuple[int, ...], int, int, str, int, bool]


def _columns(said: Iterable[Said]) -> list[_Columns]:
    return [(one.message_ids, one.author_id, one.at, one.text, one.tokens, one.marked) for one in said]


def _said(rows: Iterable[_Columns]) -> tuple[Said, ...]:
    return tuple(Said(tuple(ids), author, at, text, tokens, marked) for ids, author, at, text, tokens, marked in rows)
