"""One pass over the archive that counts everything `sususbot analyze` shows.

Messages stream from the archive through cleaning, consent and segmentation, as they will when a corpus is built, and
are counted on their way: raw ones by time, place, author and repetition, those that cleaning keeps by tokens, words and
language, then the conversations of those who may be learned from. What is held are counters, the ids of one channel and
the conversations still open.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from itertools import islice
from typing import Final

from sususbot.analysis import cost
from sususbot.analysis.activity import Activity, Clock
from sususbot.analysis.analysis import (
    Analysis,
    Cleaning,
    Duplicates,
    Overview,
    Quoted,
    RuleExample,
    RuleRow,
)
from sususbot.analysis.emoji import EmojiCount
from sususbot.analysis.keywords import WordCount
from sususbot.analysis.languages import ENOUGH, LanguageCount
from sususbot.analysis.lengths import ConversationCount, NameTokens, Samples, has_answer, length
from sususbot.analysis.members import Members, Permits, Veil, quoted, share
from sususbot.analysis.repetition import DuplicateCount, SpamCount
from sususbot.archive.archive import Archive
from sususbot.chat_format import one_line
from sususbot.corpus.clean import ALL, RULES, Cleaned, Verdict, clean
from sususbot.corpus.consent import consented
from sususbot.corpus.samples import line_tokens
from sususbot.corpus.segment import Conversation, Linking, segment
from sususbot.corpus.tally import Tally
from sususbot.corpus.tokens import TokenCounter
from sususbot.errors import ArchiveEmpty
from sususbot.messages import NOTE_TYPE, WRITTEN_TYPES, Message

SHOWN_TEXTS: Final = 8
SAMPLE_TOKENS: Final = 1024

_STEP: Final = 1000
_BATCH: Final = 256


def analyze(
    archive: Archive,
    clock: Clock,
    tokens: TokenCounter,
    cards: Sequence[cost.Card] = (),
    *,
    rules: Set[str] = ALL,
    linking: Linking | None = None,
    sample_tokens: int = SAMPLE_TOKENS,
    header: str = "",
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Analysis:
    """All that can be said. Raises ArchiveEmpty.

    Samples have at most `sample_tokens` and begin with `header`; `progress` is told (messages done, messages in all).
    """
    counting = _Pass(
        archive, clock, tokens, Samples(sample_tokens, tokens.count([f"{header.strip()}\n\n"])[0]), linking or Linking()
    )
    counting.run(rules, progress)
    return counting.result(cards)


class _Pass:
    def __init__(
        self, archive: Archive, clock: Clock, tokens: TokenCounter, samples: Samples, linking: Linking
    ) -> None:
        self._archive = archive
        self._clock = clock
        self._tokens = tokens
        self._counts = archive.counts()
        self._there = self._counts.messages - self._counts.deleted
        self._permits = Permits(archive.consents, archive.authors(), archive.names())
        self._activity = Activity(clock)
        self._members = Members(self._permits)
        self._emoji = EmojiCount()
        self._words = WordCount()
        self._languages = LanguageCount(-(-self._there // ENOUGH) or 1)
        self._duplicates = DuplicateCount()
        self._spam = SpamCount()
        self._tally = Tally(quotable=self._permits.quotable)
        self._totals: Counter[str] = Counter()
        self._people: set[int] = set()
        self._bots: set[int] = set()
        self._lengths: Counter[int] = Counter()
        # Tokens of the messages in conversations that are still open.
        self._open: dict[int, int] = {}
        self._names = NameTokens(tokens)
        self._linking = linking
        self._talk = ConversationCount(samples.tokens, linking)
        self._samples = samples
        self._learned_messages = 0
        self._learned_tokens = 0

    def run(self, rules: Set[str], progress: Callable[[int, int], None]) -> None:
        messages = self._watched(self._archive.history(), progress)
        stream = self._tally.count(clean(messages, rules, self._permits.people))
        for conversation in segment(consented(self._kept(stream), self._permits.learnable), self._linking):
            self._converse(conversation)

    # -- counting

    def _watched(self, messages: Iterable[Message], progress: Callable[[int, int], None]) -> Iterator[Message]:
        for number, message in enumerate(messages, start=1):
            self._see(message)
            if number % _STEP == 0:
                progress(number, self._there)
            yield message

    def _see(self, message: Message) -> None:
        if message.type == NOTE_TYPE:
            # Written down, not said.
            return
        self._members.pass_by(message)
        self._totals["messages"] += 1
        if message.type not in WRITTEN_TYPES:
            self._totals["by_discord"] += 1
            return
        if message.author.is_bot:
            self._totals["by_bots"] += 1
            self._bots.add(message.author.id)
            return
        author_id = message.author.id
        self._people.add(author_id)
        for what, there in (
            ("edited", message.edited_at is not None),
            ("pinned", message.pinned),
            ("with_files", bool(message.attachments)),
        ):
            self._totals[what] += there
        self._members.add(message, self._activity.add(message))
        self._duplicates.add(message, quotable=author_id in self._permits.quotable)
        self._spam.add(message)
        if author_id not in self._permits.refused:
            self._emoji.add(message.content)

    def _kept(self, stream: Iterable[Cleaned]) -> Iterator[Cleaned]:
        """The same stream, what cleaning keeps counted; many at a time, since a tokenizer likes that."""
        for batch in batched(stream, _BATCH):
            kept = [cleaned for cleaned in batch if cleaned.verdict is Verdict.KEPT]
            parts = iter(line_tokens([part for cleaned in kept for part in cleaned.parts], self._tokens.count))
            for cleaned in kept:
                self._count(cleaned, sum(next(parts) for _ in cleaned.parts))
            yield from batch

    def _count(self, cleaned: Cleaned, tokens: int) -> None:
        author_id = cleaned.message.author.id
        self._lengths[tokens] += 1
        self._members.add_tokens(author_id, tokens)
        self._words.add(author_id, cleaned.text)
        self._languages.add(cleaned.text)
        if author_id in self._permits.learnable:
            self._open[cleaned.message.id] = tokens

    def _converse(self, conversation: Conversation) -> None:
        """A conversation is trained on when somebody answers in it: so is it built, too."""
        lines = conversation.lines
        said = sum(self._open.pop(line.message.id) for line in lines)
        names = sum(self._names.of(line.message.author) * len(line.parts) for line in lines)
        self._talk.add(conversation, said + names)
        if has_answer(conversation):
            self._learned_messages += len(lines)
            self._learned_tokens += self._samples.of(said + names)

    # -- results

    def result(self, cards: Sequence[cost.Card]) -> Analysis:
        if not self._people:
            raise ArchiveEmpty(
                "nobody wrote anything in this archive: run  sususbot backfill  or  sususbot import FILES  first"
            )
        veil = self._members.veil()
        reacted = self._quote(self._members.favourites, veil)
        return Analysis(
            overview=self._overview(),
            volume=self._activity.volume(),
            week=self._activity.week(),
            channels=self._activity.channels(
                {channel.id: channel for channel in self._archive.channels()}, self._talk.by_channel
            ),
            authors=self._members.authors(self._clock),
            lengths=length(self._lengths, self._tokens.name),
            reactions=self._members.reactions(reacted),
            answers=self._members.answers(),
            emoji=self._emoji.result(),
            words=self._words.result(
                {id_: name for id_, name in self._members.named.items() if id_ in self._permits.quotable}, veil.words
            ),
            languages=self._languages.result(),
            duplicates=Duplicates(
                self._duplicates.compared,
                self._duplicates.repeats,
                share(self._duplicates.repeats, self._duplicates.compared),
                self._quote(self._duplicates.most_said(SHOWN_TEXTS), veil),
                self._duplicates.repeaters(self._members.named),
            ),
            spam=self._spam.result(),
            cleaning=self._cleaning(veil),
            conversations=self._talk.result(),
            training=cost.training(self._learned_messages, self._learned_tokens, cards),
        )

    def _overview(self) -> Overview:
        guild = self._archive.guild()
        whole = self._activity.whole
        return Overview(
            server=one_line(guild.name) if guild is not None else "",
            timezone=self._clock.name,
            messages=self._totals["messages"],
            written=whole.messages,
            by_bots=self._totals["by_bots"],
            by_discord=self._totals["by_discord"],
            deleted=self._counts.deleted,
            edited=self._totals["edited"],
            pinned=self._totals["pinned"],
            with_files=self._totals["with_files"],
            authors=len(self._people),
            bots=len(self._bots),
            channels=self._activity.places,
            first=self._clock.iso(whole.first),
            last=self._clock.iso(whole.last),
            days=self._activity.days,
            active_days=self._activity.active_days,
            origins={str(origin): count for origin, count in self._archive.origins().items()},
        )

    def _cleaning(self, veil: Veil) -> Cleaning:
        tally = self._tally
        rules = tuple(
            RuleRow(
                name,
                what,
                tally.rules[name].changed,
                tally.rules[name].dropped,
                tuple(
                    RuleExample(veil.shown(example.before), veil.shown(example.after))
                    for example in tally.rules[name].examples
                    if example.before or example.after
                ),
            )
            for name, what in RULES.items()
        )
        kept = tally.verdicts[Verdict.KEPT]
        dropped = tally.messages - kept
        return Cleaning(tally.messages, kept, share(kept, tally.messages), tally.changed, dropped, rules)

    def _quote(self, chosen: Iterable[tuple[int, int]], veil: Veil) -> tuple[Quoted, ...]:
        """(message id, count) as what may be shown of it, in this order."""
        counts = dict(chosen)
        messages = self._archive.messages(counts)
        channels = {channel.id: channel for channel in self._archive.channels()}
        return tuple(
            quoted(messages[id_], count, channels=channels, clock=self._clock, veil=veil)
            for id_, count in counts.items()
            if id_ in messages
        )


def batched(stream: Iterable[Cleaned], size: int) -> Iterator[list[Cleaned]]:
    """So many at a time (itertools has it from Python 3.12)."""
    iterator = iter(stream)
    while batch := list(islice(iterator, size)):
        yield batch
