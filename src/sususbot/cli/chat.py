"""`sususbot chat`: the bot in the terminal."""

import asyncio
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from sususbot.cli.main import Place
from sususbot.cli.output import print_json, say, working

if TYPE_CHECKING:
    from sususbot.archive.archive import Archive
    from sususbot.messages import Audience, Turn
    from sususbot.responder import Reply, Responder
    from sususbot.settings import Settings


@click.command("chat", epilog='Example:  sususbot chat --once "who broke the printer?" --why')
@click.option("--once", metavar="TEXT", help="Answer this and end.")
@click.option("--why", is_flag=True, help="Show what each reply was made of.")
@click.option("--json", "as_json", is_flag=True, help="Print reply and trace as one JSON object (with --once).")
@click.option("--as", "speaker", metavar="NAME", default="you", show_default=True, help="The name you speak under.")
@click.option("--allow-stale", is_flag=True, help="Use an adapter that learned from members who said no since.")
@click.pass_obj
def chat(place: Place, once: str | None, why: bool, as_json: bool, speaker: str, allow_stale: bool) -> None:
    """Talk to the bot as a member would. What you say here is not remembered."""
    from sususbot.cli.folder import load_settings, open_archive

    if as_json and once is None:
        raise click.UsageError("--json needs --once TEXT")
    if once is not None and not once.strip():
        raise click.UsageError("--once needs a text")
    settings = load_settings(place)
    with open_archive(place, filled=True) as archive:
        with working("waking up"):
            talk = TerminalChat(settings, place, archive, speaker, allow_stale=allow_stale)
        try:
            if once is not None:
                talk.answer(once, why=why, as_json=as_json)
            else:
                talk.run(why=why)
        finally:
            talk.close()


class TerminalChat:
    """One terminal session: its own recent turns, and the rest of the bot behind it."""

    def __init__(
        self,
        settings: "Settings",
        place: Place,
        archive: "Archive",
        speaker: str,
        *,
        allow_stale: bool = False,
        audience: "Audience" = None,
    ) -> None:
        """`audience` are the channels that all readers may see; None: you own the server and see them all."""
        from sususbot.cli.build import build

        self._parts = build(settings, place, archive, allow_stale=allow_stale)
        self._settings = settings
        self._speaker = speaker
        self._audience = audience
        self._turns: deque[Turn] = deque(maxlen=settings.short_term_window)
        self._runner = asyncio.Runner()

    def run(self, *, why: bool) -> None:
        """Answer until the input ends."""
        for text in _inputs(self._speaker):
            self.answer(text, why=why)

    def answer(self, text: str, *, why: bool = False, as_json: bool = False) -> "Reply":
        """Answer one line and remember both for this session."""
        from sususbot.archive.archive import now_ms
        from sususbot.cli.trace import as_json as trace_json
        from sususbot.explaining import lines
        from sususbot.messages import Turn

        # Bytes that are no text come from a shell as half surrogates.
        asked = Turn(self._speaker, text.encode(errors="replace").decode(), now_ms())
        printer = _Printer(self._settings.bot_name, quiet=as_json)
        reply = self._runner.run(self._reply(self._parts.responder, asked, printer))
        self._turns += [asked, Turn(self._settings.bot_name, reply.text, now_ms(), own=True)]
        if as_json:
            print_json(trace_json(reply))
        else:
            printer.finish(reply.text)
            if why:
                say("\n".join(f"  | {line}" for line in lines(reply)))
        return reply

    async def _reply(self, responder: "Responder", asked: "Turn", printer: "_Printer") -> "Reply":
        recent = list(self._turns)
        return await responder.reply(asked, recent=recent, audience=self._audience, on_text=printer.text)

    def close(self) -> None:
        self._runner.close()
        # The archive belongs to the caller.
        self._parts.inference.close()
        self._parts.long_term.close()


class _Printer:
    """Streams a reply; when a fallback takes over, begins a new line."""

    def __init__(self, name: str, *, quiet: bool) -> None:
        self._name = name
        self._quiet = quiet
        self._shown = ""

    def text(self, piece: str | None) -> None:
        if self._quiet:
            return
        if piece is None:
            if self._shown:
                click.echo(" …")
            self._shown = ""
            return
        if not self._shown:
            piece = piece.lstrip()
            click.echo(f"{self._name}: ", nl=False)
        click.echo(piece, nl=False)
        self._shown += piece

    def finish(self, text: str) -> None:
        """What was streamed is the raw output; where cleaning changed it, the clean text follows."""
        if self._shown and self._shown.strip() != text:
            click.echo(f"\n{self._name}: {text}")
        elif self._shown:
            click.echo()
        else:
            click.echo(f"{self._name}: {text}")


def _inputs(speaker: str) -> Iterator[str]:
    """Lines from the terminal (with a prompt) or from a pipe, until they end."""
    interactive = sys.stdin.isatty()
    if interactive:
        with suppress(ImportError):
            # Arrow keys and history; Windows' console has its own.
            import readline  # noqa: F401
        say("say something; Ctrl-D (Windows: Ctrl-Z, Enter) ends")
    interrupted = False
    while True:
        try:
            text = input(f"{speaker}: " if interactive else "").strip()
        except EOFError:
            return
        except KeyboardInterrupt:
            if interrupted or not interactive:
                return
            interrupted = True
            say("\n(once more ends)")
            continue
        interrupted = False
        if text:
            yield text
