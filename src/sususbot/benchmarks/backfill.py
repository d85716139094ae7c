"""How near does collecting come to the fastest that Discord's limits allow, and is the result whole?

The stand-in runs in its own process, with Discord's windows: 5 pages in 5 s a channel. Bare minimum: the time in which
so many pages can be asked for at all, at 40 a second, if nothing but the limits took any time. Compared is every
message with its edit and reactions.
"""

import asyncio
import math
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

from sususbot.archive.archive import Archive
from sususbot.benchmarks.own_discord import Address, Asked, Recipe, Row, own_discord
from sususbot.benchmarks.report import Metrics, Result, in_new_process, peak_rss_mb, timed
from sususbot.sources.discord_api.address import api_at
from sususbot.sources.discord_api.client import Client
from sususbot.sources.discord_api.collector import Wanted, collect
from sususbot.sources.discord_api.limits import Limiter
from sususbot.standin.ratelimit import Headers, RateLimits, Window

_PER_SECOND: Final = 40.0
_PAGE: Final = 100


class Run(NamedTuple):
    seconds: float
    limit_seconds: float
    missing: int
    extra: int
    too_many_per_500: float
    peak_rss_mb: float | None

    @property
    def share(self) -> float:
        return self.limit_seconds / self.seconds


@dataclass(frozen=True, slots=True)
class Sizes:
    """Pages of history a channel, for one channel and for many; `channels` is how many those are."""

    one: int = 61
    many: int = 91
    channels: int = 40


def bench_backfill(sizes: Sizes = Sizes()) -> Result:
    """All runs one after another, some 8 minutes."""
    lying = replace(RateLimits(), history=Window(5, 5.0, Headers.LYING))
    one = Recipe(1, _messages(sizes.one))
    many = Recipe(sizes.channels, _messages(sizes.many))
    runs = {
        "1_channel": measure(one),
        "40_channels": measure(many),
        "1_channel_lying": measure(replace(one, rate=lying)),
        "40_channels_lying": measure(replace(many, rate=lying)),
        "1_channel_faults": measure(replace(one, share=0.05)),
        "40_channels_faults": measure(replace(many, share=0.05)),
    }
    honest = [runs["1_channel"], runs["40_channels"]]
    metrics: Metrics = {f"share_of_limit_{name}": run.share for name, run in runs.items()}
    metrics |= {
        "missing": sum(run.missing for run in runs.values()),
        "extra": sum(run.extra for run in runs.values()),
        "too_many_requests": max(run.too_many_per_500 for run in honest),
        "too_many_requests_lying": max(run.too_many_per_500 for name, run in runs.items() if "lying" in name),
        "too_many_requests_faults": max(run.too_many_per_500 for name, run in runs.items() if "faults" in name),
        "peak_rss_mb": max(run.peak_rss_mb or 0.0 for run in runs.values()) or None,
    }
    metrics |= {f"seconds_{name}": run.seconds for name, run in runs.items()}
    return Result(
        "backfill",
        metrics,
        {f"seconds_{name}": run.limit_seconds for name, run in runs.items()},
        "history through the API; 5 % of each of 7 kinds of fault in the last two; 429s per 500 requests",
        f"5 pages in 5 s a channel, {_PER_SECOND:.0f} requests a second over all, and nothing else takes time",
    )


def _messages(pages: int) -> int:
    """So many that this many pages are asked for: the last but one is not full, the last empty."""
    return (pages - 1) * _PAGE - _PAGE // 3


def measure(recipe: Recipe) -> Run:
    """One collection into a new archive, in a fresh process."""
    with own_discord(recipe) as discord, tempfile.TemporaryDirectory() as folder:
        seconds, peak = in_new_process(collect_ours, discord.address, folder)
        asked, wanted = discord.asked(), discord.rows()
        with Archive(Path(folder)) as archive:
            found = archived_rows(archive)
    return Run(
        seconds,
        limit_seconds(asked, recipe),
        len(wanted - found),
        len(found - wanted),
        asked.too_many / asked.requests * 500,
        peak,
    )


def collect_ours(address: Address, folder: str) -> tuple[float, float | None]:
    wanted = Wanted(address.channels)
    with api_at(address.http_url), Archive(Path(folder)) as archive:
        client = Client(address.token, Limiter(_PER_SECOND))
        _, seconds = timed(lambda: asyncio.run(collect(archive, client, wanted)))
    return seconds, peak_rss_mb()


def archived_rows(archive: Archive) -> set[Row]:
    return {
        (
            message.id,
            message.channel_id,
            message.content,
            message.edited_at,
            tuple((reaction.emoji, reaction.count) for reaction in message.reactions),
        )
        for message in archive.history()
    }


def limit_seconds(asked: Asked, recipe: Recipe) -> float:
    """The fastest that the limits allow for the pages there are, and an empty one a channel to see its end.

    With faults, those requests that went wrong count as well, as if they too had taken a place in the window.
    """
    needed = math.ceil(recipe.messages / _PAGE) + 1
    pages = [max(needed, count) if recipe.share else needed for count in asked.pages.values()]
    window = recipe.rate.history
    alone = [math.floor((count - 1) / window.limit) * window.per for count in pages]
    return max(*alone, (sum(pages) - 1) / _PER_SECOND) if len(alone) > 1 else alone[0]
