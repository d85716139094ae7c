"""The analysis of the archive as the page shows it: findings, charts with their figures, tables.

The values are those of `sususbot analyze`, which decides what may be shown of whom: names of who said no to everything
and words of who may not be quoted are not in them. Not here: when it is counted, and drawn anew (`report_view`).
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from nicegui import html

from sususbot.analysis import report
from sususbot.analysis.analysis import Analysis, Bin, Counted, Quoted
from sususbot.analysis.page import as_json
from sususbot.web.parts import Column, figures, folded, note, picture, table, tiles

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_EMOJI: Final = 30
_LANGUAGES: Final = 10
_KEYWORDS: Final = 8


def draw(analysis: Analysis) -> None:
    """Everything, each part on a card."""
    for section in _SECTIONS:
        with html.section().classes("card"):
            section(analysis)


def _summary(a: Analysis) -> None:
    html.h2("Summary")
    note(
        f"{report.day(a.overview.first)} to {report.day(a.overview.last)}, times in {a.overview.timezone}. Kept "
        "until the archive changes."
    )
    tiles(
        (report.number(a.overview.written), "messages by members"),
        (report.number(a.overview.authors), f"members in {report.number(a.overview.channels)} channels"),
        (report.percent(a.authors.learnable_share), "may be learned from"),
        (report.percent(a.cleaning.kept_share), "of all messages are kept by cleaning"),
        (report.number(a.training.tokens_per_epoch), "tokens in one pass of training"),
    )
    values = as_json(a)
    with html.ul().classes("findings"):
        for sentence in report.findings(a):
            html.li(report.written(values, sentence))


def _time(a: Analysis) -> None:
    html.h2("Over time")
    unit, periods = a.volume.unit, a.volume.periods
    busiest = a.volume.busiest
    most = f"; the busiest began on {report.day(busiest.start)} with {busiest.messages:,}" if busiest else ""
    counts = [(one.start, one.messages) for one in periods]
    _bars(f"Messages by {unit}{most}.", counts)
    figures((f"{unit} of", "messages"), counts, label=f"Messages by {unit}")
    html.h3("Channels")
    table(
        _columns("channel", "messages*", "members*", "conversations*", "first", "last"),
        [
            {
                "channel": f"#{row.name}",
                "messages": row.messages,
                "members": row.authors,
                "conversations": row.conversations,
                "first": row.first[:10],
                "last": row.last[:10],
            }
            for row in a.channels
        ],
        label="Channels",
    )


def _week(a: Analysis) -> None:
    html.h2("Hours of the week")
    hours = a.week.hours
    cells = [[hour, day, hours[day][hour]] for day in range(7) for hour in range(24)]
    most = max(max(row) for row in hours)
    picture(
        f"Messages by weekday and hour: most on {a.week.busiest_day}s and around {report.hour(a.week.busiest_hour)}, "
        f"fewest around {report.hour(a.week.quietest_hour)}.",
        {
            "xAxis": {"type": "category", "data": [f"{hour:02}" for hour in range(24)]},
            "yAxis": {"type": "category", "data": list(_DAYS), "inverse": True},
            "visualMap": {
                "min": 0,
                "max": max(1, most),
                "show": False,
                "inRange": {"color": ["rgba(63,127,212,0.06)", "#3f7fd4"]},
            },
            "tooltip": {},
            "legend": {"show": False},
            "series": [{"type": "heatmap", "name": "messages", "data": cells}],
        },
    )
    rows = [
        {"hour": f"{hour:02}", **{day: hours[number][hour] for number, day in enumerate(_DAYS)}} for hour in range(24)
    ]
    columns = _columns("hour", *(f"{day}*" for day in _DAYS))
    folded("These figures as a table", lambda: table(columns, rows, label="Messages by weekday and hour", per_page=24))


def _members(a: Analysis) -> None:
    html.h2("Members")
    refused = a.authors.refused
    of_them = f" {refused.members:,} who said no to everything are counted, never named." if refused.members else ""
    note(
        f"Of {a.overview.authors:,} members, {a.authors.may_learn:,} may be learned from, {a.authors.may_remember:,} "
        f"remembered, {a.authors.may_quote:,} quoted.{of_them}"
    )
    table(
        _columns(
            "member", "messages*", "% of all*", "tokens*", "days*", "answered others*", "was answered*", "reactions*"
        ),
        [
            {
                "member": row.name,
                "messages": row.messages,
                "% of all": round(row.share * 100, 1),
                "tokens": row.tokens,
                "days": row.active_days,
                "answered others": row.answers_given,
                "was answered": row.answers_got,
                "reactions": row.reactions_got,
            }
            for row in a.authors.rows
        ],
        label="Members",
    )


def _answers(a: Analysis) -> None:
    html.h2("Who answers whom")
    note(
        f"{a.answers.replies:,} replies and {a.answers.mentions:,} mentions; {a.answers.to_oneself:,} of oneself, "
        f"{a.answers.with_refused:,} from or to members who are not named."
    )
    table(
        _columns("who", "answers", "replies*", "mentions*"),
        [
            {"who": pair.source, "answers": pair.target, "replies": pair.replies, "mentions": pair.mentions}
            for pair in a.answers.pairs
        ],
        label="Who answers whom",
    )


def _lengths(a: Analysis) -> None:
    html.h2("Lengths")
    how = f"by the tokenizer of {a.lengths.tokenizer}" if a.lengths.exact else "estimated"
    sizes = _sizes(a.lengths.bins)
    _bars(
        f"Tokens of a message as cleaning leaves it, {how}: {a.lengths.median:,} in the median, {a.lengths.p90:,} at "
        f"most in nine of ten, {a.lengths.longest:,} in the longest.",
        sizes,
    )
    figures(("tokens", "messages"), sizes, label="Lengths of messages")
    talk = a.conversations
    html.h3("Conversations")
    sizes = _sizes(talk.bins)
    _bars(
        f"Messages of a conversation: {talk.conversations:,} conversations, {talk.median_messages:,} messages in the "
        f"median, {talk.longest_messages:,} in the longest; in {talk.alone:,} nobody answers.",
        sizes,
    )
    figures(("messages", "conversations"), sizes, label="Lengths of conversations")


def _liked(a: Analysis) -> None:
    html.h2("Reactions and emoji")
    note(
        f"{a.reactions.reacted:,} messages ({report.percent(a.reactions.reacted_share)}) got {a.reactions.reactions:,} "
        f"reactions; {a.reactions.replies:,} ({report.percent(a.reactions.replies_share)}) are replies."
    )
    _chips("Reactions", a.reactions.emoji)
    _chips("Emoji in texts", a.emoji.unicode[:_EMOJI])
    _chips("The server's own", [Counted(f":{one.name}:", one.count) for one in a.emoji.custom[:_EMOJI]])
    _quotes("Most reacted to", "reactions", a.reactions.favourites)


def _words(a: Analysis) -> None:
    html.h2("Words and languages")
    told = [(report.LANGUAGES.get(one.name, one.name), one.count) for one in a.languages.languages[:_LANGUAGES]]
    if told:
        _bars(
            f"Languages of {a.languages.looked_at:,} messages that were looked at; {a.languages.too_short:,} were too "
            "short to tell.",
            told,
        )
        figures(("language", "messages"), told, label="Languages")
    table(
        _columns("member", "says more than others+", "words*", "different*"),
        [
            {
                "member": row.author,
                "says more than others": ", ".join(one.word for one in row.keywords[:_KEYWORDS]),
                "words": row.words,
                "different": row.vocabulary,
            }
            for row in a.words.rows
        ],
        label="Words by member",
    )


def _repetition(a: Analysis) -> None:
    html.h2("Duplicates and spam")
    note(
        f"{a.duplicates.repeats:,} of {a.duplicates.compared:,} texts of a sentence's length were said before. "
        f"{a.spam.floods:,} floods of {a.spam.flood_messages:,} messages, {a.spam.everyone:,} pings of everyone, "
        f"{a.spam.only_links:,} messages that are only links."
    )
    _quotes("Said most often", "times", a.duplicates.texts)
    _chips("Who repeats", a.duplicates.repeaters)


def _training(a: Analysis) -> None:
    html.h2("What training would take")
    note(
        f"One pass: {a.training.tokens_per_epoch:,} tokens in {a.training.messages:,} messages; {a.training.epochs} "
        f"passes, rank {a.training.rank}, {report.span(a.training.memory_gb)} GB of a card's memory."
    )
    table(
        _columns("card", "memory", "fits", "tokens/s", "minutes a pass", "hours in all"),
        [
            {
                "card": card.name + (" (found here)" if card.found else ""),
                "memory": f"{card.memory_gb:g} GB",
                "fits": card.fits,
                "tokens/s": report.span(card.tokens_per_s),
                "minutes a pass": report.span(card.epoch_minutes),
                "hours in all": report.span(card.training_hours),
            }
            for card in a.training.cards
        ],
        label="What training would take on each card",
    )
    note(f"{a.training.formula} {a.training.memory_formula}")


_SECTIONS: Final[Sequence[Callable[[Analysis], None]]] = (
    _summary,
    _time,
    _week,
    _members,
    _answers,
    _lengths,
    _liked,
    _words,
    _repetition,
    _training,
)


def _columns(*names: str) -> list[Column]:
    """A name with a star is a number's, one with a plus that of long texts."""
    return [
        Column(name.rstrip("*+"), name.rstrip("*+"), number=name.endswith("*"), long=name.endswith("+"))
        for name in names
    ]


def _bars(says: str, counts: Sequence[tuple[str, int]]) -> None:
    series: dict[str, Any] = {"type": "bar", "name": "", "data": [count for _, count in counts], "barMaxWidth": 48}
    picture(
        says,
        {
            "xAxis": {"type": "category", "data": [name for name, _ in counts]},
            "yAxis": {"type": "value"},
            "tooltip": {"trigger": "axis"},
            "legend": {"show": False},
            "series": [series],
        },
        height=220,
    )


def _sizes(bins: Sequence[Bin]) -> list[tuple[str, int]]:
    return [(report.size_of(one), one.count) for one in bins]


def _chips(title: str, rows: Sequence[Counted]) -> None:
    if not rows:
        return
    html.h3(title)
    with html.ul().classes("chips"):
        for one in rows:
            html.li(f"{one.name} {one.count:,}")


def _quotes(title: str, what: str, rows: Sequence[Quoted]) -> None:
    if not rows:
        return
    html.h3(title)
    note("Only of members who may be quoted.")
    table(
        _columns("message+", "by", "where", what + "*"),
        [{"message": one.text, "by": one.author, "where": f"#{one.channel}", what: one.count} for one in rows],
        label=title,
    )
