"""What a running bot counts and times, for its owner's eyes and for Prometheus. Numbers only: no word, no name, no id.

Written to by the rooms of the bot, on the event loop; read by `health` and by the commands. One object for each bot,
with a registry of its own, so that two bots in one process do not count into each other.
"""

import time
from collections import Counter as Tally
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import quantiles
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sususbot.model.backend import Facts
from sususbot.responder import Trace

# Seconds. A reply is to be there within four, and nothing but the model should take more than forty milliseconds.
_STAGES: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.0, 2.0, 4.0, 8.0, 15.0)
_LAGS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_SHARES: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
_SPEEDS: Final = (1, 2, 5, 10, 15, 25, 40, 60, 80, 100, 150, 250, 500, 1000, 2500)
# Replies whose times are kept for the percentiles that people are shown.
_KEPT: Final = 1000
_HOURS: Final = 24


@dataclass(frozen=True, slots=True)
class Day:
    """The last 24 hours, for people. Times in seconds, of the last thousand replies; None where there were none."""

    replies: int
    p50: float | None
    p95: float | None
    by_backend: dict[str, int]
    fallbacks: dict[str, int]
    signs: dict[str, int]
    filtered: dict[str, int]


class Metrics:
    """`clock` gives seconds and never goes back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self.registry = CollectorRegistry()
        registry = self.registry
        self._stages = Histogram(
            "sususbot_reply_seconds", "Time of a reply, by stage.", ["stage"], buckets=_STAGES, registry=registry
        )
        self._replies = Counter("sususbot_replies", "Mentions answered, by backend.", ["backend"], registry=registry)
        self._fallbacks = Counter(
            "sususbot_fallbacks", "Tries that gave no reply.", ["backend", "cause"], registry=registry
        )
        self._signs = Counter("sususbot_signs", "Mentions that got a sign instead.", ["cause"], registry=registry)
        self._filtered = Counter(
            "sususbot_filter_hits", "Output that was not sent.", ["category", "rule"], registry=registry
        )
        self._tokens = Counter("sususbot_tokens", "Tokens of replies.", ["kind"], registry=registry)
        self._speed = Histogram(
            "sususbot_tokens_per_second", "Tokens written a second, by reply.", buckets=_SPEEDS, registry=registry
        )
        self._cached = Histogram(
            "sususbot_cached_prompt_share", "Of a prompt, what was cached.", buckets=_SHARES, registry=registry
        )
        self._identifies = Counter("sususbot_identifies", "Sessions begun with Discord.", registry=registry)
        self._resumes = Counter("sususbot_resumes", "Sessions gone on with.", registry=registry)
        self._lost = Counter("sususbot_connections_lost", "Connections that ended.", ["cause"], registry=registry)
        self._caught_up = Counter("sususbot_caught_up", "Found by REST after a gap.", ["what"], registry=registry)
        self.lag = Histogram(
            "sususbot_loop_lag_seconds", "How late the event loop is.", buckets=_LAGS, registry=registry
        )
        registry.register(_Now(self))
        self._gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        self._facts: Callable[[], Facts] = dict
        self._connection: Callable[[], Facts] = dict
        self._last_received: float | None = None
        self._last_reply: float | None = None
        self._totals: deque[float] = deque(maxlen=_KEPT)
        self._hours: deque[tuple[int, Tally[tuple[str, str]]]] = deque(maxlen=_HOURS)
        self.watch("sususbot_uptime_seconds", "Since the bot was started.", lambda: self.uptime)

    # -- what happened

    def answered(self, trace: Trace) -> None:
        """A reply went out."""
        generation = trace.generation
        self._last_reply = self._clock()
        self._replies.labels(generation.backend).inc()
        self._note("reply", generation.backend)
        for fallback in generation.fallbacks:
            self._fallbacks.labels(fallback.backend, fallback.cause).inc()
            self._note("fallback", f"{fallback.backend} {fallback.cause}")
        for stage, seconds in trace.seconds.items():
            self._stages.labels(stage).observe(seconds)
        self._totals.append(trace.seconds.get("total", 0.0))
        usage = generation.usage
        for kind, count in (("prompt", usage.prompt), ("cached", usage.cached), ("completion", usage.completion)):
            self._tokens.labels(kind).inc(count)
        if usage.prompt:
            self._cached.observe(usage.cached / usage.prompt)
        writing = trace.seconds.get("model", 0.0) - trace.seconds.get("first_token", 0.0)
        if usage.completion > 1 and writing > 0:
            self._speed.observe((usage.completion - 1) / writing)

    def signed(self, cause: str) -> None:
        """A mention got a sign instead of a reply."""
        self._signs.labels(cause).inc()
        self._note("sign", cause)

    def filtered(self, category: str, rule: str) -> None:
        """Something that a model said was not sent."""
        self._filtered.labels(category, rule).inc()
        self._note("filtered", category)

    def identified(self) -> None:
        self._identifies.inc()

    def resumed(self) -> None:
        self._resumes.inc()

    def connection_lost(self, cause: str) -> None:
        """`cause` is one of few words: it names a counter."""
        self._lost.labels(cause).inc()

    def caught_up(self, messages: int, mentions: int) -> None:
        self._caught_up.labels("messages").inc(messages)
        self._caught_up.labels("mentions").inc(mentions)

    def received(self) -> None:
        """Anything came from Discord."""
        self._last_received = self._clock()

    # -- what is so now

    def watch(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """A figure that is asked for when somebody looks."""
        self._gauges[name] = (meaning, value)

    def watch_engine(self, facts: Callable[[], Facts]) -> None:
        self._facts = facts

    def watch_connection(self, facts: Callable[[], Facts]) -> None:
        self._connection = facts

    @property
    def connection(self) -> Facts:
        """How the connection to Discord fares; empty before the bot runs."""
        return self._connection()

    @property
    def engine(self) -> Facts:
        return self._facts()

    @property
    def uptime(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._begun

    @property
    def since_received(self) -> float | None:
        """Seconds since anything came from Discord; None when nothing did yet."""
        return None if self._last_received is None else self._clock() - self._last_received

    @property
    def since_reply(self) -> float | None:
        return None if self._last_reply is None else self._clock() - self._last_reply

    def day(self) -> Day:
        """The last 24 hours, by full hours. May be called from any thread."""
        kinds: dict[str, Tally[str]] = {}
        oldest = self._hour() - _HOURS
        for hour, counted in tuple(self._hours):
            for (kind, what), count in dict(counted).items() if hour > oldest else ():
                kinds.setdefault(kind, Tally())[what] += count
        replies = kinds.get("reply", Tally())
        return Day(
            replies.total(),
            self._percentile(50),
            self._percentile(95),
            *(dict(kinds.get(kind, Tally()).most_common()) for kind in ("reply", "fallback", "sign", "filtered")),
        )

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)

    def collect(self) -> list[Metric]:
        """What is asked for only now. Facts of an engine that are numbers become figures of their own."""
        found: list[Metric] = [GaugeMetricFamily(name, text, value()) for name, (text, value) in self._gauges.items()]
        for name, fact in self._facts().items():
            if isinstance(fact, int | float):
                found.append(GaugeMetricFamily(f"sususbot_engine_{name}", f"Of the engine: {name}.", fact))
        if self._last_received is not None:
            silence = self._clock() - self._last_received
            found.append(GaugeMetricFamily("sususbot_silence_seconds", "Since anything came from Discord.", silence))
        return found

    def _note(self, kind: str, what: str) -> None:
        hour = self._hour()
        if not self._hours or self._hours[-1][0] != hour:
            self._hours.append((hour, Tally()))
        self._hours[-1][1][kind, what] += 1

    def _hour(self) -> int:
        return int(self._clock() // 3600)

    def _percentile(self, percent: int) -> float | None:
        totals = tuple(self._totals)
        if len(totals) < 2:
            return totals[0] if totals else None
        return quantiles(totals, n=100, method="inclusive")[percent - 1]


class _Now(Collector):
    """Asks `Metrics` when somebody looks."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> list[Metric]:
        """Nothing: names are known once somebody looks."""
        return []

    def collect(self) -> list[Metric]:
        return self._metrics.collect()
