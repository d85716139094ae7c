"""How long messages and conversations are, and what samples of a corpus conversations become."""

from collections import Counter
from collections.abc import Sequence
from itertools import dropwhile
from typing import Final, NamedTuple

from sususbot.analysis.analysis import Bin, Conversations, Lengths
from sususbot.chat_format import speaker
from sususbot.corpus.segment import Conversation, Linking
from sususbot.corpus.tokens import ESTIMATE, TokenCounter
from sususbot.messages import Author

CONVERSATION_RULE: Final = (
    "messages hang together by reply, mention, an answer in turn or few speakers; {minutes} minutes of silence end it"
)
# How full the samples of a conversation are that is too long for one: it is divided at silences.
_FILLED: Final = 0.75
_TOKEN_BINS: Final = (1, 5, 9, 17, 33, 65, 129, 257)
_MESSAGE_BINS: Final = (1, 2, 3, 5, 9, 17, 33, 65)


class Samples(NamedTuple):
    """What samples are: at most so many tokens, so many of them for the header."""

    tokens: int
    header: int

    def of(self, conversation: int) -> int:
        """Tokens of the samples that a conversation of this size becomes."""
        room = max(self.tokens - self.header, 1)
        number = 1 if conversation <= room else -(-conversation // max(round(room * _FILLED), 1))
        return conversation + number * self.header


class NameTokens:
    """What the name before a line takes."""

    def __init__(self, tokens: TokenCounter) -> None:
        self._tokens = tokens
        self._known: dict[int, int] = {}

    def of(self, author: Author) -> int:
        if author.id not in self._known:
            self._known[author.id] = self._tokens.count([f"{speaker(author.display_name)}:"])[0]
        return self._known[author.id]


def has_answer(conversation: Conversation) -> bool:
    """Whether anybody says something to learn after another spoke."""
    first = conversation.lines[0].message.author.id
    answers = dropwhile(lambda line: line.message.author.id == first, conversation.lines)
    return any(not line.marked for line in answers)


def length(lengths: Counter[int], tokenizer: str) -> Lengths:
    """Tokens of a message -> how many have as many, as what is shown of it."""
    messages, tokens = lengths.total(), sum(size * count for size, count in lengths.items())
    return Lengths(
        tokenizer=tokenizer,
        exact=tokenizer != ESTIMATE,
        messages=messages,
        tokens=tokens,
        mean=round(tokens / messages, 1) if messages else 0.0,
        median=percentile(lengths, 0.5),
        p90=percentile(lengths, 0.9),
        p99=percentile(lengths, 0.99),
        longest=max(lengths, default=0),
        bins=bins(lengths, _TOKEN_BINS),
    )


class ConversationCount:
    """Counts conversations as they end."""

    def __init__(self, sample_tokens: int, linking: Linking) -> None:
        self._silence_minutes = linking.silence_ms // 60_000
        self._sample_tokens = sample_tokens
        self.by_channel: Counter[int] = Counter()
        self._messages: Counter[int] = Counter()
        self._minutes: Counter[int] = Counter()
        self._tokens: Counter[int] = Counter()
        self._speakers = 0
        self._alone = 0

    def add(self, conversation: Conversation, tokens: int) -> None:
        lines = conversation.lines
        speakers = len({cleaned.message.author.id for cleaned in lines})
        self.by_channel[conversation.channel_id] += 1
        self._messages[len(lines)] += 1
        self._minutes[(lines[-1].message.created_at - lines[0].message.created_at) // 60_000] += 1
        self._tokens[tokens] += 1
        self._speakers += speakers
        self._alone += speakers == 1

    def result(self) -> Conversations:
        sizes = self._messages
        number, messages = sizes.total(), sum(size * count for size, count in sizes.items())
        return Conversations(
            rule=CONVERSATION_RULE.format(minutes=self._silence_minutes),
            conversations=number,
            messages=messages,
            alone=self._alone,
            mean_messages=round(messages / number, 1) if number else 0.0,
            median_messages=percentile(sizes, 0.5),
            p90_messages=percentile(sizes, 0.9),
            longest_messages=max(sizes, default=0),
            median_minutes=percentile(self._minutes, 0.5),
            mean_speakers=round(self._speakers / number, 1) if number else 0.0,
            bins=bins(sizes, _MESSAGE_BINS),
            median_tokens=percentile(self._tokens, 0.5),
            sample_tokens=self._sample_tokens,
            longer_than_sample=sum(count for size, count in self._tokens.items() if size > self._sample_tokens),
        )


def percentile(counts: Counter[int], part: float) -> int:
    """The smallest size that this part of all do not exceed."""
    needed, seen = part * counts.total(), 0
    for size in sorted(counts):
        seen += counts[size]
        if seen >= needed:
            return size
    return 0


def bins(counts: Counter[int], starts: Sequence[int]) -> tuple[Bin, ...]:
    """Counts in classes that begin at these sizes; the last is open, the first takes what is smaller, too."""
    ends = [start - 1 for start in starts[1:]]
    return tuple(
        Bin(low, high, sum(count for size, count in counts.items() if (size >= low or low == starts[0])
                           and (high is None or size <= high)))
        for low, high in zip(starts, [*ends, None], strict=True)
    )  # fmt: skip
