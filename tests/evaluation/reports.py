"""Reports for tests of what is made of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sususbot.evaluation.evaluation import Example, Report, Spoken
from sususbot.evaluation.figures import Section, mean, share

EXCHANGES = tuple(range(100, 140))


def section(name: str, **items: Sequence[float]) -> Section:
    """Figures of items, the more the better."""
    figures = {
        figure: share(sum(some), len(some), "higher") if set(some) <= {0.0, 1.0} else mean(some, "higher")
        for figure, some in items.items()
    }
    return Section(name, figures, items)


def hits(good: int, of: int = len(EXCHANGES)) -> list[float]:
    return [1.0] * good + [0.0] * (of - good)


def report_of(systems: Mapping[str, Mapping[str, Section]], **more: Any) -> Report:
    given: dict[str, Any] = {
        "name": "winter",
        "date": "2026-01-02T03:04:05+00:00",
        "machine": "a machine",
        "made_by": "sususbot 1",
        "seed": 0,
        "corpus": {"name": "default", "files": {"train.jsonl": {"samples": 3, "sha256": "ab" * 32}}},
        "split_at": 1_700_000_000_000,
        "exchanges": EXCHANGES,
        "settings": {"temperature": 0.8, "systems": {"bot": {"backend": "llamacpp", "model": "m", "adapter": "a"}}},
        "systems": systems,
        "examples": (Example((Spoken("Mia", "who has the <b>kettle</b>?"),), Spoken("Tom", "me"), {"bot": "not me"}),),
        **more,
    }
    return Report(**given)
