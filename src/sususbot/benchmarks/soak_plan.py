"""A soak as values: how it goes (`Plan`), what it found (`Outcome`), and the figures that are told of it (`as_result`).

Names of figures stand in kept JSON and in docs/benchmarks.md: add some, but rename none.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from sususbot.benchmarks.report import Result
from sususbot.benchmarks.soak_account import Account
from sususbot.bot.pace import Pace

# Mentions of a busy day: one in ten seconds.
_A_DAY: Final = 8640


@dataclass(frozen=True, slots=True)
class Plan:
    """How a soak goes. `share` is that of each fault among the requests, `mood` that of each among the replies."""

    mentions: int = 100_000
    restarts: int = 20
    seed: int = 0
    members: int = 300
    open: int = 12
    """Mentions that may wait at once in ordinary times."""
    burst: int = 50
    burst_every: int = 2000
    disaster_every: int = 150
    share: float = 0.001
    mood: float = 0.002
    pressed: float = 0.05
    """Seconds here for a second of trouble out there."""
    deadline: float = 2.0
    queue_size: int = 16
    member_rate: int = 40
    warm_up: int = 10_000
    """Mentions of the last life until its memory is looked at for the first time."""
    engine: Path | None = None
    """A GGUF file; some lives answer by it, and its process is killed, too."""
    settle: float = 60.0
    """Seconds that everything may take to come to its end when nobody asks any more."""

    @property
    def identifies(self) -> int:
        """The budget: what the bot allows itself for the days that so many mentions are on a busy server."""
        return Pace().identifies_a_day * max(1, -(-self.mentions // _A_DAY))


def quick(mentions: int = 2000, restarts: int = 5, seed: int = 0) -> Plan:
    """A small one, with more trouble for each mention."""
    return Plan(
        mentions, restarts, seed, burst_every=500, disaster_every=40, share=0.002, mood=0.004, warm_up=mentions // 8
    )


@dataclass(slots=True)
class Outcome:
    """What a soak found. Times in seconds."""

    account: Account
    lost: list[int] = field(default_factory=list)
    lives: int = 0
    killed: int = 0
    ended: list[str] = field(default_factory=list)
    """Lives that ended though nobody killed them, and how."""
    identifies: int = 0
    resumes: int = 0
    lags: Any = None
    memory: list[tuple[int, float]] = field(default_factory=list)
    """Of the last life: mentions asked, and MB held then."""
    rss_mb: tuple[float, float] | None = None
    seconds: float = 0.0
    stopped_s: float = 0.0
    http: Counter[str] = field(default_factory=Counter)
    disasters: Counter[str] = field(default_factory=Counter)
    forbidden: int = 0
    pinged: int = 0
    orphans: int = 0
    """Processes of the model that outlived the bot that had started them."""
    invalid: int = 0


def as_result(plan: Plan, found: Outcome) -> Result:
    account = found.account
    p50, p99 = (float(np.percentile(found.lags, q)) * 1000 for q in (50, 99)) if len(found.lags) else (None, None)
    growth = None if found.rss_mb is None else found.rss_mb[1] / found.rss_mb[0]
    return Result(
        "soak",
        {
            "mentions": account.asked,
            "answered_twice": len(account.twice),
            "lost_silently": len(found.lost),
            "loop_lag_p99_ms": p99,
            "rss_growth": growth,
            "identifies": found.identifies,
            "identifies_budget": plan.identifies,
            "answered": account.ends["answered"],
            "merged": account.ends["merged"],
            "signed": account.ends["signed"],
            "deleted": account.ends["deleted"],
            "signs": dict(account.signs.most_common()),
            "unasked": len(account.unasked),
            "forbidden": found.forbidden,
            "pinged": found.pinged,
            "orphans": found.orphans,
            "unexplained": account.unexplained,
            "restarts": found.killed,
            "ended_by_itself": len(found.ended),
            "resumes": found.resumes,
            "loop_lag_p50_ms": p50,
            "wait_p50_s": float(np.percentile(account.late, 50)) if account.late else None,
            "wait_p99_s": float(np.percentile(account.late, 99)) if account.late else None,
            "rss_warm_mb": None if found.rss_mb is None else found.rss_mb[0],
            "rss_end_mb": None if found.rss_mb is None else found.rss_mb[1],
            "disasters": found.disasters.total(),
            "request_faults": found.http.total(),
            "invalid_requests": found.invalid,
            "duration_s": found.seconds,
            "stop_s": found.stopped_s,
            "faults": dict(sorted((found.http + found.disasters).items())),
        },
        {},
        f"{plan.mentions:,} mentions with every fault and {plan.restarts} kills, time pressed together",
        "none: a mention answered twice or lost is a fault",
    )
