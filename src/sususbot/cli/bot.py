"""`sususbot bot`: the parts of a bot that lives, put together and ended in order.

What it does with a mention is `bot`; what the parts are is `build`. Whatever is begun here has its end here, too.
"""

from typing import TYPE_CHECKING, Final

import click

from sususbot.cli.asking import not_set
from sususbot.cli.main import Place
from sususbot.cli.output import say, working

if TYPE_CHECKING:
    from sususbot.cli.build import Assembly
    from sususbot.settings import Settings

# After a reply's deadline, for sending it.
_FAREWELL_SECONDS: Final = 5.0


@click.command("bot", epilog="Example:  sususbot bot")
@click.option("--allow-stale", is_flag=True, help="Use an adapter that learned from members who said no since.")
@click.pass_obj
def bot(place: Place, allow_stale: bool) -> None:
    """Answer @mentions in the channel of the settings, and remember what is said there."""
    from sususbot.bot.logs import logged
    from sususbot.cli.folder import load_settings

    settings = load_settings(place)
    if settings.discord_token is None:
        raise not_set("DISCORD_TOKEN", place)
    if settings.channel_id is None:
        raise not_set("CHANNEL_ID", place)
    with logged(
        settings.log_level,
        file=settings.log_file,
        file_mb=settings.log_file_mb,
        files=settings.log_files,
        content=settings.log_content,
        secrets=settings.secrets,
    ):
        _run(place, settings, settings.discord_token, settings.channel_id, allow_stale=allow_stale)


def _run(place: Place, settings: "Settings", token: str, channel_id: int, *, allow_stale: bool) -> None:
    import asyncio

    from sususbot.bot.service import alone
    from sususbot.cli.build import build
    from sususbot.cli.folder import open_archive

    # That another bot runs is told now, not after models were loaded.
    with alone(place.data):
        pass
    with open_archive(place) as archive:
        with working("waking up"):
            parts = build(settings, place, archive, live=True, allow_stale=allow_stale)
        say("connecting to Discord; Ctrl-C stops")
        try:
            asyncio.run(_live(place, settings, parts, token, channel_id, allow_stale=allow_stale))
        finally:
            parts.short_term.close()
            parts.inference.close()
            parts.long_term.close()


async def _live(
    place: Place, settings: "Settings", parts: "Assembly", token: str, channel_id: int, *, allow_stale: bool
) -> None:
    """The bot with all that is around it, until it is stopped."""
    import asyncio
    from contextlib import AsyncExitStack

    from sususbot.bot import logs, loop_lag
    from sususbot.bot.answering import Answering
    from sususbot.bot.commands import Commands
    from sususbot.bot.controls import Controls
    from sususbot.bot.health import Health, HealthServer
    from sususbot.bot.keeper import Keeper
    from sususbot.bot.metrics import Metrics
    from sususbot.bot.supervisor import run_bot
    from sususbot.cli.folder import forgetting
    from sususbot.cli.serving import Serving, limits

    metrics = Metrics()
    metrics.watch_engine(parts.inference.facts)
    metrics.watch("sususbot_log_lines_missing", "Lines of the log that could not be written.", logs.lost)
    forget = forgetting(place, settings, parts.archive)
    keeper = Keeper(
        parts.archive,
        parts.long_term,
        short_term=parts.short_term,
        retention_days=settings.retention_days,
        forgetting=forget,
    )
    answering = Answering(
        parts.responder,
        settle=keeper.settle,
        metrics=metrics,
        limits=limits(settings),
        burst=settings.burst_seconds,
    )
    serving = Serving(place, settings, parts, answering, allow_stale=allow_stale)
    commands = Commands(
        Controls(
            archive=parts.archive,
            short_term=parts.short_term,
            long_term=parts.long_term,
            forgetting=forget,
            keeper=keeper,
            answering=answering,
            metrics=metrics,
            data=place.data,
            channel_id=channel_id,
            own_name=settings.bot_name,
            reload=serving.reload,
            unlearn=serving.unlearn,
            owners=settings.owner_ids,
            contact=settings.contact,
        )
    )
    async with AsyncExitStack() as around:
        if settings.metrics_port:
            health = Health(metrics, lambda: answering.waiting)
            await around.enter_async_context(HealthServer(health, metrics, settings.metrics_port))
        watching = asyncio.create_task(loop_lag.watch(metrics.lag.observe))
        around.callback(watching.cancel)
        around.push_async_callback(commands.close)
        await run_bot(
            token,
            channel_id,
            folder=place.data,
            keeper=keeper,
            answering=answering,
            short_term=parts.short_term,
            metrics=metrics,
            grace=settings.reply_deadline + _FAREWELL_SECONDS,
            extend=commands.extend,
            signals=True,
        )
