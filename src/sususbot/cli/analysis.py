"""An analysis in the terminal: the same sentences and figures as on the page, in a screen or two."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sususbot.analysis import report
from sususbot.analysis.analysis import Analysis, AuthorRow, Bin, Counted, Quoted
from sususbot.analysis.page import as_json
from sususbot.analysis.report import hour, number, percent, size_of, span
from sususbot.errors import installing
from sususbot.messages import joined_names

_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_SHADES: Final = " ░▒▓█"
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ROWS: Final = 10
_WORDS: Final = 6
_NAME: Final = 20
_QUOTES: Final = 3


def show(analysis: Analysis, console: Console | None = None) -> None:
    """Print it on stdout. Names and words are text to rich, never markup."""
    console = console or Console(highlight=False, markup=False, emoji=False)
    console.print(Text(analysis.overview.server or "archive", style="bold"))
    values = as_json(analysis)
    for sentence in report.findings(analysis):
        console.print(Text(f"- {report.written(values, sentence)}"))
    for title, body in _sections(analysis, values):
        console.print()
        console.print(Text(title, style="bold"))
        console.print(Padding(Group(*body), (0, 0, 0, 2)))


def _sections(analysis: Analysis, values: dict[str, Any]) -> Iterator[tuple[str, Sequence[RenderableType]]]:
    yield f"Over time, by {analysis.volume.unit}", _volume(analysis)
    yield f"Hours of the week, {analysis.overview.timezone}", _week(analysis)
    yield "Channels", [_channels(analysis)]
    yield "Members", [_members(analysis), _more(len(analysis.authors.rows) - _ROWS)]
    yield f"Lengths in tokens ({_tokenizer(analysis)})", [*_lengths(analysis)]
    yield "Reactions and replies", [*_reactions(analysis, values)]
    yield "Who answers whom", [_answers(analysis)]
    yield "Emoji", [_counted([*analysis.emoji.unicode[:_ROWS], *analysis.emoji.custom[:_ROWS]])]
    yield "Words of their own", [_words(analysis)]
    yield f"Languages ({analysis.languages.detector})", [_languages(analysis)]
    yield "Duplicates and spam", [*_repetition(analysis, values)]
    yield "What cleaning would do", [*_cleaning(analysis)]
    yield "Conversations", [*_conversations(analysis, values)]
    yield "What training would take", [_training(analysis), *_formulas(analysis)]


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Columns with > at the end are numbers, those with ~ may take several lines; else the first gives way."""
    titles = [column.rstrip(">~") for column in columns]
    cells = [[number(cell) if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for place, column in enumerate(columns):
        wraps = column.endswith("~")
        table.add_column(
            Text(titles[place]),
            justify="right" if column.endswith(">") else "left",
            overflow="fold" if wraps else "ellipsis",
            no_wrap=not wraps,
            min_width=max(cell_len(row[place]) for row in [titles, *cells]) if place and not wraps else None,
            max_width=_NAME if not place else None,
        )
    for row in cells:
        table.add_row(*map(Text, row))
    return table


def _more(left: int) -> Text:
    return Text(f"and {number(left)} more: --json has all" if left > 0 else "", style="dim")


def _bar(part: float, width: int = 30) -> str:
    return "█" * max(round(part * width), 1 if part else 0)


def _volume(analysis: Analysis) -> list[RenderableType]:
    """A line of bars; several periods to a bar where there are many."""
    counts = [period.messages for period in analysis.volume.periods]
    step = -(-len(counts) // 72)
    sums = [sum(counts[at : at + step]) for at in range(0, len(counts), step)]
    top = max(sums, default=0) or 1
    line = "".join(_BLOCKS[-(-count * (len(_BLOCKS) - 1) // top)] for count in sums)
    first, last = (report.day(analysis.volume.periods[place].start) for place in (0, -1))
    busiest = analysis.volume.busiest
    most = f"; most from {report.day(busiest.start)}: {number(busiest.messages)}" if busiest else ""
    return [Text(line), Text(f"{first} to {last}{most}", style="dim")]


def _week(analysis: Analysis) -> list[RenderableType]:
    hours = analysis.week.hours
    top = max(map(max, hours)) or 1
    rows = [
        Text(f"{day}  " + "".join(_SHADES[-(-count * (len(_SHADES) - 1) // top)] * 2 for count in row))
        for day, row in zip(_DAYS, hours, strict=True)
    ]
    scale = "     " + "".join(f"{at:<6}" for at in range(0, 24, 3))
    return [*rows, Text(f"{scale.rstrip()}   busiest: {hour(analysis.week.busiest_hour)}", style="dim")]


def _channels(analysis: Analysis) -> Table:
    return _table(
        ("channel", "messages>", "members>", "conversations>", "first", "last"),
        [
            (f"#{row.name}", row.messages, row.authors, row.conversations, row.first[:10], row.last[:10])
            for row in analysis.channels[:_ROWS]
        ],
    )


def _members(analysis: Analysis) -> Table:
    rows: list[Sequence[object]] = [
        (row.name, row.messages, percent(row.share), row.reactions_got, _agrees(row), row.said or "nobody yet")
        for row in analysis.authors.rows[:_ROWS]
    ]
    refused = analysis.authors.refused
    if refused.members:
        what = "did not say yes" if analysis.authors.consent == "opt-in" else "said no"
        rows.append((f"({number(refused.members)} who {what})", refused.messages, "", "", "nothing", ""))
    return _table(("member", "messages>", "share>", "reactions>", "agrees to", "said by"), rows)


def _agrees(row: AuthorRow) -> str:
    purposes = (("learn", row.learn), ("remember", row.remember), ("quote", row.quote))
    given = [purpose for purpose, answer in purposes if answer]
    return "all" if len(given) == len(purposes) else ", ".join(given)


def _tokenizer(analysis: Analysis) -> str:
    lengths = analysis.lengths
    return lengths.tokenizer if lengths.exact else f"estimated: {installing('tokens')}  counts them"


def _lengths(analysis: Analysis) -> Iterator[RenderableType]:
    lengths = analysis.lengths
    yield Text(
        f"{number(lengths.tokens)} in {number(lengths.messages)} messages: median {number(lengths.median)}, "
        f"mean {number(lengths.mean)}, 90 % at most {number(lengths.p90)}, 99 % at most {number(lengths.p99)}, "
        f"longest {number(lengths.longest)}"
    )
    yield _bins(lengths.bins, "tokens", "messages>")


def _bins(bins: Sequence[Bin], what: str, of: str) -> Table:
    top = max((one.count for one in bins), default=0) or 1
    return _table((what, of, ""), [(size_of(one), one.count, _bar(one.count / top)) for one in bins])


def _reactions(analysis: Analysis, values: dict[str, Any]) -> Iterator[RenderableType]:
    sentence = (
        "{reactions.reactions:number} reactions to {reactions.reacted:number} messages "
        "({reactions.reacted_share:percent}); {reactions.replies:number} replies "
        "({reactions.replies_share:percent})"
    )
    if analysis.reactions.median_answer_s is not None:
        sentence += ", half of them within {reactions.median_answer_s:duration}"
    yield Text(report.written(values, sentence))
    if analysis.reactions.emoji:
        yield _counted(analysis.reactions.emoji[:_ROWS])
    yield from map(_quote, analysis.reactions.favourites[:_QUOTES])


def _quote(quote: Quoted) -> Text:
    return Text(f"{number(quote.count)}×  {quote.author}: {quote.text}", overflow="ellipsis", no_wrap=True)


def _counted(counted: Sequence[Counted]) -> Text:
    return Text("   ".join(f"{one.name} {number(one.count)}" for one in counted) or "none")


def _answers(analysis: Analysis) -> RenderableType:
    if not analysis.answers.pairs:
        return Text("nobody by reply or mention")
    return _table(
        ("who", "answers", "replies>", "mentions>"),
        [(pair.source, pair.target, pair.replies, pair.mentions) for pair in analysis.answers.pairs[:_ROWS]],
    )


def _words(analysis: Analysis) -> RenderableType:
    rows = [row for row in analysis.words.rows[:_ROWS] if row.keywords]
    if not rows:
        return Text("nobody who may be quoted has written enough to tell")
    return _table(
        ("member", "words that they use more than the others~"),
        [(row.author, ", ".join(keyword.word for keyword in row.keywords[:_WORDS])) for row in rows],
    )


def _languages(analysis: Analysis) -> Text:
    told = analysis.languages
    found = [f"{report.LANGUAGES.get(one.name, one.name)} {number(one.count)}" for one in told.languages[:_ROWS]]
    beside = [f"too short to tell {number(told.too_short)}", f"not sure {number(told.uncertain)}"]
    if told.every > 1:
        beside.append(f"one message in {told.every} was looked at")
    return Text(f"{', '.join(found) or 'none'} ({', '.join(beside)})")


def _repetition(analysis: Analysis, values: dict[str, Any]) -> Iterator[RenderableType]:
    yield Text(
        report.written(
            values,
            "{duplicates.repeats:number} of {duplicates.compared:number} longer messages "
            "({duplicates.repeats_share:percent}) had been said before; {spam.flood_messages:number} messages in "
            "{spam.floods:number} floods, {spam.many_mentions:number} with six mentions and more, "
            "{spam.everyone:number} @everyone, {spam.only_links:number} only links",
        )
    )
    yield from map(_quote, analysis.duplicates.texts[:_QUOTES])


def _cleaning(analysis: Analysis) -> Iterator[RenderableType]:
    rules = analysis.cleaning.rules
    busy = [rule for rule in rules if rule.dropped or rule.changed]
    yield _table(
        ("rule", "drops>", "changes>", "what it does~"),
        [(rule.name, rule.dropped, rule.changed, rule.what) for rule in busy],
    )
    idle = [rule.name for rule in rules if rule not in busy]
    if idle:
        yield Text(f"nothing to do for {joined_names(idle)}; examples of the others are on the page", style="dim")


def _conversations(analysis: Analysis, values: dict[str, Any]) -> Iterator[RenderableType]:
    yield Text(
        report.written(
            values,
            "{conversations.conversations:number} of {conversations.messages:number} messages: mean "
            "{conversations.mean_messages:number}, median {conversations.median_messages:number}, longest "
            "{conversations.longest_messages:number} messages; {conversations.mean_speakers:number} speakers on "
            "average; "
            "{conversations.longer_than_sample:number} longer than {conversations.sample_tokens:number} tokens",
        )
    )
    yield _bins(analysis.conversations.bins, "messages", "conversations>")


def _training(analysis: Analysis) -> Table:
    training = analysis.training
    needs = f"{training.memory_gb.low} – {training.memory_gb.high} of"
    return _table(
        ("card", "memory, GB>", "fits", "one pass, min>", f"{training.epochs} passes, h>"),
        [
            (
                card.name + " (here)" * card.found,
                f"{needs} {card.memory_gb:g}",
                card.fits,
                span(card.epoch_minutes),
                span(card.training_hours),
            )
            for card in training.cards
        ],
    )


def _formulas(analysis: Analysis) -> Iterator[Text]:
    training = analysis.training
    for text in (training.no_card, training.formula, training.memory_formula, training.source):
        if text:
            yield Text(text, style="dim")
