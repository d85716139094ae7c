"""`sususbot bot`: the Discord bot."""

from typing import TYPE_CHECKING

import click

from sususbot.cli.main import Place
from sususbot.cli.output import say, working

if TYPE_CHECKING:
    from sususbot.settings import Settings


@click.command("bot", epilog="Example:  sususbot bot")
@click.option("--allow-stale", is_flag=True, help="Use an adapter that learned from members who said no since.")
@click.pass_obj
def bot(place: Place, allow_stale: bool) -> None:
    """Answer @mentions in the channel of the settings, and remember what is said there."""
    from sususbot.bot.logs import logged
    from sususbot.cli.build import load_settings
    from sususbot.errors import SettingsError

    settings = load_settings(place)
    if settings.discord_token is None:
        raise SettingsError("DISCORD_TOKEN is not set: copy the token from the developer portal's Bot page into .env")
    if settings.channel_id is None:
        raise SettingsError("CHANNEL_ID is not set: right-click the bot's channel, Copy Channel ID, put it into .env")
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

    from sususbot.bot.answering import Answering
    from sususbot.bot.keeper import Keeper
    from sususbot.bot.supervisor import run_bot
    from sususbot.cli.build import build, forgetting, open_archive

    with open_archive(place) as archive:
        with working("waking up"):
            parts = build(settings, place, archive, live=True, allow_stale=allow_stale)
        say("connecting to Discord; Ctrl-C stops")
        keeper = Keeper(
            archive,
            parts.long_term,
            short_term=parts.short_term,
            retention_days=settings.retention_days,
            forgetting=forgetting(place, settings, archive),
        )
        try:
            asyncio.run(
                run_bot(
                    token,
                    channel_id,
                    folder=place.data,
                    keeper=keeper,
                    answering=Answering(parts.responder, settle=keeper.settle),
                    short_term=parts.short_term,
                    grace=settings.reply_deadline + 5,
                    signals=True,
                )
            )
        finally:
            parts.short_term.close()
            parts.inference.close()
            parts.long_term.close()
