"""Who answers whom, measured on annotated logs that the shipped linker never saw (give it the dev logs).

Link F1 as in `segmentation`: one prediction a message, what begins something links to itself, system lines count and
are predicted so. The true antecedent among five: of the messages that answer an earlier one, those for which it is one
of the five earlier messages that matter most. Beside it in the same run: the message before, the last five, and simple
rules by names and nearness. Time is wall time, features included.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sususbot.benchmarks.report import Metrics, Result
from sususbot.linking.channel import Channel
from sususbot.linking.fit import by_rules
from sususbot.linking.irc import Log, read_logs
from sususbot.linking.line import Line
from sususbot.linking.linker import Linker
from sususbot.linking.network import SHIPPED, Network

_FIVE: Final = 5

# Gives, for each line told, what it answers (None: nothing) and the earlier lines that matter to it, the best first.
Answer = Callable[[Line], tuple[int | None, Sequence[int]]]


@dataclass(frozen=True, slots=True)
class LinkScores:
    """Fractions from 0 to 1, and milliseconds."""

    link_f1: float
    antecedent_at_5: float
    ms_per_message: float


def bench_links(irc: Sequence[Path]) -> Result:
    """The shipped linker against the message before, the last five and rules."""
    logs = [log for path in irc for log in read_logs(path)]
    ours, last, rules = (score(logs, method) for method in (learned, last_lines, ruled))
    metrics: Metrics = {
        "logs": len(logs),
        "messages": sum(len(log.answers()) for log in logs),
        "link_f1": round(ours.link_f1, 4),
        "antecedent_at_5": round(ours.antecedent_at_5, 4),
        "ms_per_message": round(ours.ms_per_message, 3),
        "model_kb": round(SHIPPED.stat().st_size / 1000, 1),
        "rules_link_f1": round(rules.link_f1, 4),
        "last_message_link_f1": round(last.link_f1, 4),
        "last_five_antecedent_at_5": round(last.antecedent_at_5, 4),
    }
    baseline: Metrics = {
        "link_f1": round(rules.link_f1, 4),
        "antecedent_at_5": round(last.antecedent_at_5, 4),
        "ms_per_message": round(rules.ms_per_message, 3),
    }
    return Result(
        "links", metrics, baseline, "who answers whom, on annotated IRC logs", "rules; the last five messages"
    )


def learned(network: Network | None = None) -> Answer:
    linker = Linker(network)

    def answer(line: Line) -> tuple[int | None, Sequence[int]]:
        link, weights = linker.weigh(line)
        return link.target, sorted(weights, key=lambda id_: (-weights[id_], -id_))

    return answer


def last_lines() -> Answer:
    said: list[int] = []

    def answer(line: Line) -> tuple[int | None, Sequence[int]]:
        if line.system:
            return None, ()
        last = said[: -_FIVE - 1 : -1]
        said.append(line.id)
        return (last[0] if last else None), last

    return answer


def ruled() -> Answer:
    channel, said = Channel({}), list[int]()

    def answer(line: Line) -> tuple[int | None, Sequence[int]]:
        if line.system:
            return None, ()
        heard = channel.hear(line)
        found = by_rules(channel, heard)
        channel.add(heard, found)
        said.append(line.id)
        return (None, ()) if found is None else (said[found], (said[found],))

    return answer


def score(logs: Sequence[Log], method: Callable[[], Answer]) -> LinkScores:
    hits = predicted = gold = among = answering = told = 0
    seconds = 0.0
    for log in logs:
        answer = method()
        begun = time.perf_counter()
        found = [answer(line) for line in log.lines]
        seconds += time.perf_counter() - begun
        told += sum(not line.system for line in log.lines)
        for place, right in log.answers().items():
            target, best = found[place]
            hits += (place if target is None else target) in right
            predicted += 1
            gold += len(right)
            if earlier := right - {place}:
                answering += not log.lines[place].system
                among += not earlier.isdisjoint(best[:_FIVE])
    return LinkScores(2 * hits / (predicted + gold), among / answering, 1000 * seconds / told)
