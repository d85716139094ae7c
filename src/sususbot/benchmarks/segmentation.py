"""Messages to conversations, measured on annotated logs: who answers whom, and which messages belong together.

Data: Ubuntu IRC with reply links (Kummerfeld and others, ACL 2019), as JSON lines of `{log, messages, links}`; only
links from line 1000 on are annotated. Link F1: one prediction a message, a message that starts something links to
itself, system lines count and are always predicted so. Conversations are what hangs together by links: one-to-one
overlap (best matching of whole conversations), 1 - VI (variation of information, scaled by its greatest value), and the
F1 of conversations found exactly (those of one message left out), as in that paper. Thresholds were chosen on `train`.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sususbot.benchmarks.report import Metrics, Result
from sususbot.corpus.segment import Line, Linker, Linking
from sususbot.linking import irc
from sususbot.linking import line as linking

_MINUTE: Final = 60_000
_PUNCTUATION: Final = ",:;!?.()\"'<>@"

# One link a message: from its place to that of what it answers, or to itself.
Links = list[int]
Method = Callable[[Sequence[Line | None]], Links]


@dataclass(frozen=True, slots=True)
class Log:
    """One log: a line is None where the channel's own system speaks. `links` are (earlier, later)."""

    name: str
    lines: tuple[Line | None, ...]
    links: frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Scores:
    """Fractions from 0 to 1, higher is better."""

    link_f1: float
    one_to_one: float
    vi: float
    exact_f1: float


def bench_segmentation(irc: Sequence[Path]) -> Result:
    """Ours against simpler ways, against rules alone, and these without each of them."""
    logs = [log for path in irc for log in read_logs(path)]
    rows = {name: score(logs, method) for name, method in METHODS.items()}
    metrics: Metrics = {"logs": len(logs), "messages": sum(len(annotated(log)) for log in logs)}
    for name, scores in rows.items():
        if name != _BASELINE:
            metrics |= _keys("" if name == _OURS else f"{name}_", scores)
    return Result(
        "segmentation",
        metrics,
        _keys("", rows[_BASELINE]),
        "links between messages and the conversations they make, on annotated IRC logs",
        "every message answers the one before, a new conversation after 30 minutes of silence",
    )


def _keys(prefix: str, scores: Scores) -> Metrics:
    return {
        f"{prefix}link_f1": round(scores.link_f1, 4),
        f"{prefix}one_to_one": round(scores.one_to_one, 4),
        f"{prefix}vi": round(scores.vi, 4),
        f"{prefix}exact_f1": round(scores.exact_f1, 4),
    }


# -- ways to link


def by_silence(minutes: int) -> Method:
    """Every line goes on from the one before, until so much silence."""

    def link(lines: Sequence[Line | None]) -> Links:
        links, before = [], None
        for place, line in enumerate(lines):
            if line is None:
                links.append(place)
                continue
            goes_on = before is not None and line.at - before[1] <= minutes * _MINUTE
            links.append(before[0] if before is not None and goes_on else place)
            before = place, line.at
        return links

    return link


def by_rules(linking: Linking) -> Method:
    """The linker that builds the corpus."""

    def link(lines: Sequence[Line | None]) -> Links:
        linker = Linker(linking)
        return [place if line is None or (to := linker.link(line)) is None else to for place, line in enumerate(lines)]

    return link


_OURS: Final = "ours"
_BASELINE: Final = "silence_30min"
_CHOSEN: Final = Linking()
_RULES: Final = replace(_CHOSEN, learned=False)
METHODS: Final[dict[str, Method]] = {
    _OURS: by_rules(_CHOSEN),
    _BASELINE: by_silence(30),
    "silence_5min": by_silence(5),
    "silence_1min": by_silence(1),
    "rules": by_rules(_RULES),
    "without_mentions": by_rules(replace(_RULES, mention_lines=-1, answer_lines=-1)),
    "without_runs": by_rules(replace(_RULES, run_lines=-1)),
    "without_addressee": by_rules(replace(_RULES, addressed_lines=-1)),
    "without_quiet": by_rules(replace(_RULES, quiet_speakers=0)),
    "run_2min": by_rules(replace(_RULES, run_ms=2 * _MINUTE)),
    "run_10min": by_rules(replace(_RULES, run_ms=10 * _MINUTE)),
}


# -- the data


def read_logs(path: Path) -> Iterator[Log]:
    """Raises NotAnExport."""
    for log in irc.read_logs(path):
        ids = {line.name.lower(): line.author_id for line in log.lines if not line.system}
        lines = (None if line.system else _line(line, ids) for line in log.lines)
        yield Log(log.name, tuple(lines), log.links)


def _line(line: linking.Line, ids: dict[str, int]) -> Line:
    return Line(line.id, line.author_id, line.at, _mentions(line, ids), name=line.name, text=line.text)


def _mentions(line: linking.Line, ids: dict[str, int]) -> tuple[int, ...]:
    """IRC has no mentions but names: as the first word, or anywhere when it is no word of two letters."""
    found = []
    for place, word in enumerate(line.text.lower().split()):
        name = next((name for name in (word, word.rstrip(",:"), word.strip(_PUNCTUATION)) if name in ids), None)
        if name is not None and ids[name] != line.author_id and (place == 0 or len(name) > 2):
            found.append(ids[name])
    return tuple(found)


def annotated(log: Log) -> list[int]:
    """The places that have a gold link."""
    return sorted({later for _, later in log.links})


# -- scores


def score(logs: Sequence[Log], method: Method) -> Scores:
    hits = gold = predicted = 0
    pairs: Counter[tuple[tuple[str, int], tuple[str, int]]] = Counter()
    for log in logs:
        links = method(log.lines)
        places = annotated(log)
        hits += sum((links[place], place) in log.links for place in places)
        predicted += len(places)
        gold += len(log.links)
        ours = _conversations(len(log.lines), enumerate(links))
        theirs = _conversations(len(log.lines), ((later, earlier) for earlier, later in log.links))
        pairs.update(((log.name, ours[place]), (log.name, theirs[place])) for place in places)
    return Scores(2 * hits / (predicted + gold), *_compare(pairs))


def _conversations(count: int, links: Iterable[tuple[int, int]]) -> list[int]:
    """The conversation of each place, named by its first place."""
    parent = list(range(count))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = place = parent[parent[place]]
        return place

    for one, other in links:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return [root(place) for place in range(count)]


def _compare(pairs: Counter[tuple[tuple[str, int], tuple[str, int]]]) -> tuple[float, float, float]:
    """One-to-one overlap, 1 - scaled VI, F1 of exact conversations, from the sizes of all intersections."""
    total = sum(pairs.values())
    ours: Counter[tuple[str, int]] = Counter()
    theirs: Counter[tuple[str, int]] = Counter()
    for (mine, its), size in pairs.items():
        ours[mine] += size
        theirs[its] += size
    vi = sum(
        size / total * (math.log2(ours[mine] / size) + math.log2(theirs[its] / size))
        for (mine, its), size in pairs.items()
    )
    found, wanted = (sum(size > 1 for size in sizes.values()) for sizes in (ours, theirs))
    exact = sum(size > 1 and size == ours[mine] == theirs[its] for (mine, its), size in pairs.items())
    return _overlap(pairs) / total, 1 - vi / math.log2(total), 2 * exact / ((found + wanted) or 1)


def _overlap(pairs: Counter[tuple[tuple[str, int], tuple[str, int]]]) -> int:
    """Messages in the best matching of conversations, log by log."""
    by_log: defaultdict[str, dict[tuple[int, int], int]] = defaultdict(dict)
    for (mine, its), size in pairs.items():
        by_log[mine[0]][mine[1], its[1]] = size
    return sum(_best_matching(sizes) for sizes in by_log.values())


def _best_matching(sizes: dict[tuple[int, int], int]) -> int:
    """The assignment problem by shortest augmenting paths (the Hungarian method)."""
    rows, columns = (sorted({key[side] for key in sizes}) for side in (0, 1))
    size = max(len(rows), len(columns))
    cost = [[0] * (size + 1) for _ in range(size + 1)]
    for (row, column), overlap in sizes.items():
        cost[rows.index(row) + 1][columns.index(column) + 1] = -overlap
    of_row, of_column = [0] * (size + 1), [0] * (size + 1)
    match = [0] * (size + 1)
    for row in range(1, size + 1):
        _augment(row, cost, of_row, of_column, match)
    return -sum(cost[match[column]][column] for column in range(1, size + 1))


def _augment(row: int, cost: list[list[int]], of_row: list[int], of_column: list[int], match: list[int]) -> None:
    """Bring one more row into the matching; place 0 stands for nothing."""
    size = len(match) - 1
    match[0], column = row, 0
    least: list[float] = [math.inf] * (size + 1)
    came_from, used = [0] * (size + 1), [False] * (size + 1)
    path = [0]
    while match[column]:
        used[column] = True
        here, step, following = match[column], math.inf, 0
        for other in range(1, size + 1):
            if not used[other]:
                reduced = cost[here][other] - of_row[here] - of_column[other]
                if reduced < least[other]:
                    least[other], came_from[other] = reduced, column
                if least[other] < step:
                    step, following = least[other], other
        for other in range(size + 1):
            if used[other]:
                of_row[match[other]] += int(step)
                of_column[other] -= int(step)
            else:
                least[other] -= step
        column = following
    while column:
        path.append(column)
        match[column] = match[came_from[column]]
        column = came_from[column]
