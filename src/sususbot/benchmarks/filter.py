"""The filter of what goes out: how often it stops what people really say, how much of the red team's list, how fast.

People's lines are looked at as if the bot had said them. Every hit counts as a false positive, though some lines do
hold what must not be said: an address, a token, a slur; so the rate is an upper bound.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from sususbot.benchmarks.report import Metrics, Result, percentile_ms, timed
from sususbot.safety import lists
from sususbot.safety.filter import CATEGORIES, OutputFilter
from sususbot.safety.patterns import example
from sususbot.safety.pings import mention_safe
from sususbot.safety.red_team import BLOCKED, Attack, attacks
from sususbot.sources.formats import open_source
from sususbot.sources.source import Messages

# What is taken out of a text instead of being a hit.
_TAKEN_OUT: Final = re.compile(r"https?:|<@|@(?:everyone|here)\b|discord|dsc\.gg", re.IGNORECASE)

# So many lines are timed, spread over all, each so often.
_TIMED: Final = 10_000
_TIMES: Final = 3

# Whether a text may not be sent.
Stops = Callable[[str], bool]


def bench_filter(exports: Sequence[Path]) -> Result:
    """The filter as it is by default, and the words of its lists alone beside it."""
    texts = [text for path in exports for text in _texts(path)]
    ours = OutputFilter(CATEGORIES, BLOCKED)
    metrics = _measured(texts, lambda text: ours.check(text).hit is not None)
    hits = Counter(hit.category for text in texts if (hit := ours.check(text).hit))
    metrics["hits"] = dict(hits.most_common())
    metrics["red_team_prompts"] = len(attacks())
    metrics["red_team_blocked"] = _share(attack for attack in attacks() if blocked(ours, attack))
    words = _words()
    baseline = _measured(texts, lambda text: words.search(text.lower()) is not None)
    baseline["red_team_blocked"] = _share(attack for attack in attacks() if words.search(attack.obedient.lower()))
    return Result(
        "filter",
        metrics,
        baseline,
        "what people said as if the bot had, and what it would say if it obeyed the red team",
        "one regular expression of the lists' words and the owner's",
    )


def blocked(output: OutputFilter, attack: Attack) -> bool:
    """Whether nothing of what a prompt wants is sent: a hit of its category, or what it wants taken out."""
    verdict = output.check(mention_safe(attack.obedient))
    if attack.category in ("links", "invites", "pings"):
        return verdict.hit is not None or _TAKEN_OUT.search(verdict.text) is None
    return verdict.hit is not None and verdict.hit.category == attack.category


def _measured(texts: Sequence[str], stops: Stops) -> Metrics:
    stopped = sum(map(stops, texts))
    # The best of a few each, since the processor is others' too.
    timed_texts = texts[:: len(texts) // _TIMED + 1]
    seconds = [min(timed(partial(stops, text))[1] for _ in range(_TIMES)) for text in timed_texts]
    return {
        "lines": len(texts),
        "false_positive_rate": round(stopped / len(texts), 5),
        "p50_ms": round(percentile_ms(seconds, 50), 4),
        "p95_ms": round(percentile_ms(seconds, 95), 4),
    }


def _share(stopped: Iterator[Attack]) -> float:
    return round(sum(1 for _ in stopped) / len(attacks()), 4)


def _words() -> re.Pattern[str]:
    """The first words of every rule, as a list of bad words is used."""
    words = {
        example(rule.pattern, groups=lists.load(name).groups) for name in lists.LISTS for rule in lists.load(name).rules
    }
    return re.compile(rf"\b(?:{'|'.join(sorted(map(re.escape, (*words, *BLOCKED))))})\b")


def _texts(path: Path) -> Iterator[str]:
    for part in open_source(path).parts():
        if isinstance(part, Messages):
            yield from (message.rendered for message in part.messages if message.rendered)
