"""`sususbot backfill`: channel history through Discord's API."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from sususbot.cli.asking import not_set
from sususbot.cli.ids import DiscordId
from sususbot.cli.main import Place
from sususbot.cli.output import Bar, bar, print_json, say

if TYPE_CHECKING:
    from sususbot.settings import Settings
    from sususbot.sources.discord_api.collector import Collected, Wanted
    from sususbot.sources.discord_api.progress import Progress


@click.command("backfill", epilog="Example:  sususbot backfill 123456789012345678 --since 2024-01-01")
@click.argument("channels", nargs=-1, type=DiscordId(), metavar="[CHANNEL_ID]...")
@click.option("--all", "everything", is_flag=True, help="Every channel of the server that the bot may read.")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="Read back to this date (UTC) and no further.",
)
@click.option("--max-messages", type=click.IntRange(1), help="Stop after so many new messages.  [default: all]")
@click.option("--verify", is_flag=True, help="Read all again: take over edits, reactions and deletions.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as one JSON object.")
@click.pass_obj
def backfill(
    place: Place,
    channels: tuple[int, ...],
    everything: bool,
    since: datetime | None,
    max_messages: int | None,
    verify: bool,
    as_json: bool,
) -> None:
    """Read the history of channels, threads and forum posts included, into the archive.

    Without ids those of CHANNELS, or else CHANNEL_ID. The first run reads from the newest message back to the first;
    later runs go on from the last message seen. Stop it whenever you like: the next run goes on where it stopped.
    """
    import asyncio
    import signal

    from sususbot.cli.folder import load_settings, open_archive
    from sususbot.sources.discord_api.client import Client
    from sususbot.sources.discord_api.collector import Wanted, collect
    from sususbot.sources.discord_api.limits import Limiter

    settings = load_settings(place)
    if settings.discord_token is None:
        raise not_set("DISCORD_TOKEN", place)
    wanted = Wanted(
        channels=_named(settings, channels, everything=everything),
        everything=everything,
        guild_id=settings.guild_id,
        since=None if since is None else int(since.replace(tzinfo=UTC).timestamp() * 1000),
        max_messages=max_messages or settings.max_messages,
        verify=verify,
    )
    # A service manager stops with SIGTERM: end as after Ctrl-C, which asyncio turns into an orderly end.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with open_archive(place) as archive:
        with bar("reading", total=1.0, quiet=as_json) as progress:
            client = Client(settings.discord_token, Limiter(settings.requests_per_second))
            collected = asyncio.run(
                collect(archive, client, wanted, tell=_Teller(progress, quiet=as_json or sys.stderr.isatty()))
            )
        held = archive.counts().messages
    _report(collected, wanted, held, as_json=as_json)


def _named(settings: "Settings", channels: tuple[int, ...], *, everything: bool) -> tuple[int, ...]:
    """The channels that the owner named, in the command or in the settings."""
    from sususbot.errors import SettingsError

    named = channels or settings.channels or (() if settings.channel_id is None else (settings.channel_id,))
    if not named and not everything:
        raise SettingsError("no channel is named: give the ids of channels, or set CHANNELS in .env")
    return named


class _Teller:
    """Progress to the bar, and once, as soon as it is known, how long it will take."""

    def __init__(self, progress: Bar, *, quiet: bool) -> None:
        self._progress = progress
        self._quiet = quiet
        self._estimated = False

    def __call__(self, now: "Progress") -> None:
        # On a terminal the bar says it all the time.
        if now.total and now.seconds_left is not None and not self._estimated and not self._quiet:
            self._estimated = True
            say(f"about {now.total:,} messages to read: at least {_duration(now.seconds_left)} at Discord's pace")
        of = "" if now.total is None else f" of {now.total:,}"
        left = "" if now.seconds_left is None else f", {_duration(now.seconds_left)} left"
        note = (
            f"{now.messages:,}{of} messages, {now.per_second:,.0f}/s, "
            f"{now.channels_done:,} of {now.channels:,} channels{left}"
        )
        self._progress.update(now.share, 1.0, note)


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _report(collected: "Collected", wanted: "Wanted", held: int, *, as_json: bool) -> None:
    """Say what was done; raises HistoryIncomplete where a channel that was asked for could not be read."""
    from sususbot.errors import HistoryIncomplete

    added = collected.added
    if as_json:
        print_json(
            {
                "channels": collected.channels,
                "threads": collected.threads,
                "messages": collected.messages,
                "new": added.new,
                "changed": added.changed,
                "known": added.known,
                "withheld": added.withheld,
                "deleted": collected.deleted,
                "malformed": collected.malformed,
                "requests": collected.requests,
                "stopped_early": collected.stopped_early,
                "refused": collected.refused,
                "archive_messages": held,
            }
        )
    else:
        say(
            f"{_number(collected.channels, 'channel')} and {_number(collected.threads, 'thread')}: {added.new:,} new "
            f"messages, {added.changed:,} changed, {collected.deleted:,} deleted; the archive now holds {held:,}"
        )
        if collected.malformed:
            say(f"{collected.malformed:,} messages could not be understood and were left out")
        if collected.stopped_early:
            say("stopped at the number of messages that was wanted: run the same command again to go on")
        say("next:  sususbot index")
    reasons = list(collected.refused.values())
    if wanted.everything:
        # "All" are all that the bot may read: what it may not is worth a line, and no failure.
        reasons, told = [], reasons
    else:
        told = reasons[:-1]
    for reason in told:
        say(reason)
    if reasons:
        raise HistoryIncomplete(reasons[-1])
