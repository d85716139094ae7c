"""What an archive holds, as one frozen value that the terminal, the page and `--json` all show.

Ids are text, as in Discord's own JSON: they do not fit the numbers of many readers. Times are ISO 8601 in the zone the
analysis was made for; shares are fractions from 0 to 1. Who said no to everything is in the sums and nowhere else, and
words are only those of members who may be quoted.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Overview:
    """How much there is. `written` are messages of people; only these are counted in the parts below."""

    server: str
    timezone: str
    messages: int
    written: int
    by_bots: int
    by_discord: int
    deleted: int
    edited: int
    pinned: int
    with_files: int
    authors: int
    bots: int
    channels: int
    first: str
    last: str
    days: int
    active_days: int
    origins: dict[str, int]


@dataclass(frozen=True, slots=True)
class Period:
    """A day, week or month and what was written in it."""

    start: str
    messages: int


@dataclass(frozen=True, slots=True)
class Volume:
    """Messages over time, without gaps. `unit` is day, week or month."""

    unit: str
    periods: tuple[Period, ...]
    busiest: Period | None


@dataclass(frozen=True, slots=True)
class Week:
    """Messages by weekday (Monday first) and hour."""

    hours: tuple[tuple[int, ...], ...]
    busiest_day: str
    busiest_hour: int
    quietest_hour: int


@dataclass(frozen=True, slots=True)
class ChannelRow:
    id: str
    name: str
    messages: int
    authors: int
    conversations: int
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class AuthorRow:
    """A member who did not refuse everything. `said` is who gave the last answer: member, owner, or "" if nobody."""

    id: str
    name: str
    messages: int
    share: float
    tokens: int
    active_days: int
    first: str
    last: str
    answers_given: int
    answers_got: int
    reactions_got: int
    learn: bool
    remember: bool
    quote: bool
    said: str
    said_at: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Those whose every answer is no, together; `messages` and `tokens` are what is still here of theirs."""

    members: int
    messages: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Authors:
    """`top_share` is the part that the ten busiest wrote; `learnable` are messages that may be learned from."""

    consent: str
    rows: tuple[AuthorRow, ...]
    refused: Refused
    may_learn: int
    may_remember: int
    may_quote: int
    answered: int
    learnable: int
    learnable_share: float
    top_share: float
    half_by: int


@dataclass(frozen=True, slots=True)
class Bin:
    """How many have a size from `low` to `high`, both taken in; `high` None: and more."""

    low: int
    high: int | None
    count: int


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of messages as cleaning leaves them, by a model's own tokenizer or, where not `exact`, estimated."""

    tokenizer: str
    exact: bool
    messages: int
    tokens: int
    mean: float
    median: int
    p90: int
    p99: int
    longest: int
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """A thing and how often it is there."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Quoted:
    """A message shown by its words."""

    id: str
    channel: str
    author: str
    at: str
    text: str
    count: int


@dataclass(frozen=True, slots=True)
class Reactions:
    """What members reacted to, and how often they answered one another by Discord's reply."""

    reactions: int
    reacted: int
    reacted_share: float
    emoji: tuple[Counted, ...]
    favourites: tuple[Quoted, ...]
    replies: int
    replies_share: float
    replies_to_unknown: int
    answered: int
    median_answer_s: float | None


@dataclass(frozen=True, slots=True)
class Pair:
    """One member who answers another. `replies` by Discord's reply, `mentions` by name."""

    source: str
    target: str
    replies: int
    mentions: int


@dataclass(frozen=True, slots=True)
class Answers:
    """Who answers whom. `matrix` counts between `people`, rows answer columns."""

    replies: int
    mentions: int
    to_oneself: int
    with_refused: int
    pairs: tuple[Pair, ...]
    people: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Emoji:
    """Emoji in texts, of members who did not refuse."""

    total: int
    messages: int
    unicode: tuple[Counted, ...]
    custom: tuple[Counted, ...]


@dataclass(frozen=True, slots=True)
class Keyword:
    """A word its author uses more than the others: `times` as often, and how surely: a z-score."""

    word: str
    count: int
    times: float
    z: float


@dataclass(frozen=True, slots=True)
class AuthorWords:
    author: str
    words: int
    vocabulary: int
    keywords: tuple[Keyword, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """Words by author. `dropped` says how many counts of one were let go to bound memory."""

    words: int
    vocabulary: int
    rows: tuple[AuthorWords, ...]
    dropped: int


@dataclass(frozen=True, slots=True)
class Languages:
    """Languages of messages that are long enough to tell. One message in `every` was looked at."""

    detector: str
    every: int
    looked_at: int
    too_short: int
    uncertain: int
    languages: tuple[Counted, ...]


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Texts of a sentence's length that were said before, anywhere."""

    compared: int
    repeats: int
    repeats_share: float
    texts: tuple[Quoted, ...]
    repeaters: tuple[Counted, ...]


@dataclass(frozen=True, slots=True)
class Spam:
    """Floods are runs of one author in seconds; `everyone` is `@everyone` and `@here`."""

    floods: int
    flood_messages: int
    same_again: int
    many_mentions: int
    everyone: int
    only_links: int


@dataclass(frozen=True, slots=True)
class RuleExample:
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class RuleRow:
    name: str
    what: str
    changed: int
    dropped: int
    examples: tuple[RuleExample, ...]


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What the rules of cleaning would do. Every message is kept, or dropped by exactly one rule."""

    messages: int
    kept: int
    kept_share: float
    changed: int
    dropped: int
    rules: tuple[RuleRow, ...]


@dataclass(frozen=True, slots=True)
class Conversations:
    """What cleaning keeps of members who may be learned from, cut into conversations. `alone` have one speaker."""

    rule: str
    conversations: int
    messages: int
    alone: int
    mean_messages: float
    median_messages: int
    p90_messages: int
    longest_messages: int
    median_minutes: float
    mean_speakers: float
    bins: tuple[Bin, ...]
    median_tokens: int
    sample_tokens: int
    longer_than_sample: int


@dataclass(frozen=True, slots=True)
class Span:
    """An estimate: at best, at worst."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CardCost:
    """What training would take on a graphics card. No `speed` for a card whose rates are not known."""

    name: str
    found: bool
    memory_gb: float
    fits: str
    tokens_per_s: Span | None
    epoch_minutes: Span | None
    training_hours: Span | None


@dataclass(frozen=True, slots=True)
class Training:
    """Tokens of one pass over the conversations in which somebody answers, and what that asks of a card."""

    messages: int
    tokens_per_epoch: int
    tokens_per_message: float
    epochs: int
    pack_tokens: int
    rank: int
    memory_gb: Span
    cards: tuple[CardCost, ...]
    no_card: str
    formula: str
    memory_formula: str
    source: str


@dataclass(frozen=True, slots=True)
class Analysis:
    """The whole."""

    overview: Overview
    volume: Volume
    week: Week
    channels: tuple[ChannelRow, ...]
    authors: Authors
    lengths: Lengths
    reactions: Reactions
    answers: Answers
    emoji: Emoji
    words: Words
    languages: Languages
    duplicates: Duplicates
    spam: Spam
    cleaning: Cleaning
    conversations: Conversations
    training: Training
