"""How the bot is, as it tells programs on this machine: `/health` and `/metrics` read over loopback. Blocks.

Figures and sentences of the bot's own; None where no bot of ours answers.
"""

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

import orjson

_HOST: Final = "127.0.0.1"
# One that is busy is no bot that does not run.
_SECONDS: Final = 5.0
_MOST_BYTES: Final = 4 << 20
_SAMPLE: Final = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
# In the order in which a reply goes through them; others come behind.
_STAGES: Final = ("total", "context", "embed", "words", "vectors", "first_token", "model")

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Of a histogram since the bot began; by linear interpolation within a bucket, as Prometheus does it."""

    count: int
    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class BotState:
    """`health` as the bot says it; `stages` by name; counters by the value of their telling label."""

    health: Mapping[str, Any]
    stages: Mapping[str, Quantiles]
    loop_lag: Quantiles
    fallbacks: Mapping[str, int]
    filter_hits: Mapping[str, int]
    signs: Mapping[str, int]
    identifies: int
    resumes: int
    memory_mb: float | None
    log_lines_missing: int

    @property
    def state(self) -> str:
        return str(self.health.get("state", "unknown"))

    @property
    def problems(self) -> list[str]:
        return [str(problem) for problem in self.health.get("problems") or ()]


def fetch(port: int) -> BotState | None:
    """The bot that answers at this port; 0 is none."""
    if not port:
        return None
    try:
        health = orjson.loads(_get(port, "/health"))
        if not isinstance(health, dict) or not {"state", "connection"} <= health.keys():
            return None
        return _state(health, Exposition(_get(port, "/metrics").decode(errors="replace")))
    except (OSError, HTTPException, ValueError):
        return None


class Exposition:
    """Prometheus' text format, as far as the bot writes it."""

    def __init__(self, text: str) -> None:
        self._samples: dict[str, dict[Labels, float]] = defaultdict(dict)
        for line in text.splitlines():
            if (found := _SAMPLE.fullmatch(line)) is not None:
                labels = tuple(_LABEL.findall(found[2] or ""))
                self._samples[found[1]][labels] = float(found[3])

    def value(self, name: str) -> float | None:
        """Of a figure without labels."""
        return self._samples[name].get(())

    def counts(self, name: str, *by: str) -> dict[str, int]:
        """A counter's values, summed by some of its labels; the largest first."""
        sums: dict[str, int] = defaultdict(int)
        for labels, value in self._samples[name].items():
            known = dict(labels)
            sums[" ".join(known.get(label, "") for label in by)] += int(value)
        return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))

    def quantiles(self, name: str, **only: str) -> Quantiles:
        """Of a histogram, for one value of its labels."""
        buckets = sorted(
            (float(dict(labels)["le"]), value)
            for labels, value in self._samples[f"{name}_bucket"].items()
            if only.items() <= dict(labels).items()
        )
        return Quantiles(int(buckets[-1][1]) if buckets else 0, _quantile(buckets, 0.5), _quantile(buckets, 0.95))

    def labels(self, name: str, label: str) -> list[str]:
        """The values that a label of a figure has."""
        return list(dict.fromkeys(dict(labels).get(label, "") for labels in self._samples[name]))


def _quantile(buckets: Sequence[tuple[float, float]], share: float) -> float | None:
    """`buckets` are (upper bound, how many are below it). Beyond the last bound nothing is known but that bound."""
    if not buckets or not buckets[-1][1]:
        return None
    wanted, low, below = share * buckets[-1][1], 0.0, 0.0
    for high, count in buckets:
        if count >= wanted and count > below:
            return low if math.isinf(high) else low + (high - low) * (wanted - below) / (count - below)
        low, below = (low if math.isinf(high) else high), count
    return low


def _state(health: Mapping[str, Any], exposition: Exposition) -> BotState:
    name = "sususbot_reply_seconds"
    there = exposition.labels(f"{name}_bucket", "stage")
    ordered = [stage for stage in _STAGES if stage in there] + sorted(set(there) - set(_STAGES))
    memory = exposition.value("sususbot_memory_bytes")
    return BotState(
        health,
        {stage: exposition.quantiles(name, stage=stage) for stage in ordered},
        exposition.quantiles("sususbot_loop_lag_seconds"),
        exposition.counts("sususbot_fallbacks_total", "backend", "cause"),
        exposition.counts("sususbot_filter_hits_total", "category"),
        exposition.counts("sususbot_signs_total", "cause"),
        int(exposition.value("sususbot_identifies_total") or 0),
        int(exposition.value("sususbot_resumes_total") or 0),
        None if memory is None else memory / 1e6,
        int(exposition.value("sususbot_log_lines_missing") or 0),
    )


def _get(port: int, path: str) -> bytes:
    """A bot that is down says so with 503, and tells all the same."""
    connection = HTTPConnection(_HOST, port, timeout=_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().read(_MOST_BYTES)
    finally:
        connection.close()
