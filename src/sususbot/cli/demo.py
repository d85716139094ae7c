"""`sususbot demo`: the whole path on the sample community that ships with the program, then the bot in its #general.

The bot answers by `recall`, whose answers make sense, from channels that everybody there may read. Beside it a tiny
model that was made on the spot answers the same: a smoke test, and said to be one.
Where somebody sits at a terminal and has a browser, the page opens. Otherwise it asks three questions by itself and
ends: nothing is waited for that may never come.
Not here: the stages (`stages`, `kettle`, `tiny`), the page (`opening`).
"""

import os
import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sususbot import sample
from sususbot.artifacts import DEMO
from sususbot.cli.chat import TerminalChat
from sususbot.cli.main import Place
from sususbot.cli.output import say, working

if TYPE_CHECKING:
    from sususbot.archive.archive import Archive
    from sususbot.cli.tiny import Tiny, Workshop
    from sususbot.responder import Reply
    from sususbot.settings import Settings

_QUESTIONS: Final = 3
_DEADLINE_SECONDS: Final = 60.0
_SPEAKER: Final = "you"
_GREETING: Final = (
    "The Leaky Kettle, a made-up server, from its history to a bot: {} stages, once,\n"
    "in 1 to 2 minutes on two idle cores. Ctrl-C stops, the same command goes on.\nAll stays in {}"
)
_WIDTH: Final = 79


@click.command("demo", epilog='Example:  sususbot demo --once "who broke the printer?"')
@click.option("--once", metavar="TEXT", help="Answer this and end.")
@click.option("--chat", is_flag=True, help="Talk in this terminal, not on the page.")
@click.option("--no-browser", is_flag=True, help="Open no page: ask three questions and end.")
@click.option("--why", is_flag=True, help="Show what each reply was made of.")
@click.option(
    "--epochs",
    type=click.IntRange(0),
    help="How often the tiny model reads the sample; 0 leaves it out.  [default: for about a minute]",
)
@click.pass_obj
def demo(place: Place, once: str | None, chat: bool, no_browser: bool, why: bool, epochs: int | None) -> None:
    """The whole path on a small made-up server, in a folder of its own (DATA/demo): 1 to 2 minutes once, then seconds.

    It opens the page with the bot in #general. With no terminal or no browser it asks three questions and ends.
    """
    from sususbot.archive.archive import Archive
    from sususbot.cli import kettle, opening

    if once is not None and not once.strip():
        raise click.UsageError("--once needs a text")
    data, folder = place.data, place.data / DEMO
    if (why_anew := kettle.prepare(folder)) is not None:
        say(why_anew)
    with Archive(folder) as archive, _Demo(Place(folder, None, place.debug), archive, epochs) as shown:
        if once is not None:
            shown.answer([once], why=why)
        elif chat:
            shown.talk(why=why)
        else:
            if no_browser or not opening.possible() or not shown.show_page():
                shown.answer(_showcase(), why=why, aloud=True)
            say_how_to_go_on(data, epochs)


class _Demo:
    """The sample community's bot, with the tiny model beside it where there is one. Entering it makes all stages."""

    def __init__(self, place: Place, archive: "Archive", epochs: int | None) -> None:
        from sususbot.cli.kettle import Kettle
        from sususbot.cli.tiny import Workshop
        from sususbot.settings import Settings

        self._place = place
        self._archive = archive
        # The demo is the same on every machine: no .env, no environment, and an answer also from a slow one.
        self._settings = Settings.model_construct(reply_deadline=_DEADLINE_SECONDS)
        self._kettle = Kettle(place, self._settings, archive)
        self._workshop = Workshop(place.data, self._kettle.corpus, epochs) if epochs != 0 else None
        self._waking = ThreadPoolExecutor(1, "tiny model")
        self._tiny: Future[Tiny | None] = Future()

    def __enter__(self) -> "_Demo":
        from sususbot.cli import kettle, stages

        kettle.claim(self._archive, self._place.data)
        going = (*self._kettle.stages(), *(self._workshop.stages() if self._workshop is not None else ()))
        stages.go_through(going, self._place.data, _GREETING.format(len(going), self._place.data))
        self._tiny = self._waking.submit(_woken, self._workshop, self._settings)
        return self

    def __exit__(self, *_: object) -> None:
        self._waking.shutdown()
        if self._tiny.done() and (tiny := self._tiny.result()) is not None:
            tiny.close()

    def answer(self, texts: Sequence[str], *, why: bool, aloud: bool = False) -> None:
        """Answer each; `aloud` says the question, too."""
        with self._talk() as talk:
            for text in texts:
                if aloud:
                    click.echo(f"{_SPEAKER}: {text}")
                talk.answer(text, why=why)

    def talk(self, *, why: bool) -> None:
        """Until the input ends."""
        with self._talk() as talk:
            say('this is #general of The Leaky Kettle, a made-up server; try "who broke the printer?"')
            talk.run(why=why)

    @contextmanager
    def _talk(self) -> "Iterator[_Talk]":
        with working("waking up"):
            talk = _Talk(self._settings, self._place, self._archive, self._beside)
        try:
            yield talk
        finally:
            talk.close()

    def show_page(self) -> bool:
        """The page in a browser, until Ctrl-C. False where there is none, or nobody who looks at it."""
        from sususbot.cli import opening

        return opening.show(self._settings, self._place, self._archive, _showcase(), self._beside)

    def _beside(self, reply: "Reply") -> str | None:
        tiny = self._tiny.result()
        # It learned from somebody who said no meanwhile, on the page: it says nothing any more.
        if tiny is None or self._workshop is None or self._workshop.facts() is None:
            return None
        return f"{tiny.title}: {tiny.answer(reply)}"


class _Talk(TerminalChat):
    """A session in #general, in which the tiny model also says what it would."""

    def __init__(
        self, settings: "Settings", place: Place, archive: "Archive", beside: "Callable[[Reply], str | None]"
    ) -> None:
        super().__init__(settings, place, archive, _SPEAKER, audience=sample.public_channels())
        self._beside = beside

    def answer(self, text: str, *, why: bool = False, as_json: bool = False) -> "Reply":
        reply = super().answer(text, why=why, as_json=as_json)
        if (beside := self._beside(reply)) is not None:
            say(textwrap.fill(beside, _WIDTH, initial_indent="  | ", subsequent_indent="  | "))
        return reply


def _woken(workshop: "Workshop | None", settings: "Settings") -> "Tiny | None":
    """The tiny model; without it the bot answers all the same."""
    from sususbot.errors import SususError

    try:
        return None if workshop is None else workshop.wake(settings)
    except SususError as error:
        say(f"without the tiny model: {error}")
        return None


def _showcase() -> list[str]:
    return [one.text for one in sample.questions()[:_QUESTIONS]]


def say_how_to_go_on(data: Path, epochs: int | None) -> None:
    """Commands to be typed as they stand. Who wanted no tiny model gets none by typing them."""
    from sususbot.cli import kettle

    say("")
    program, folder = _program(), data / DEMO
    here = program if data == Path("data") else f"{program} --data {_quoted(data)}"
    without = " --epochs 0" if epochs == 0 else ""
    there = f"{program} --env {_quoted(folder / kettle.ENV)} --data {_quoted(folder)}"
    for what, command in (
        ("go on talking", f"{here} demo --chat{without}"),
        ("why it said so", f'{here} demo --once "who broke the printer?" --why{without}'),
        ("in the browser", f"{there} web"),
        ("your own server", f"{program} init"),
    ):
        say(f"{what:<17}{command}")


def _program() -> str:
    """What to type: `make demo` runs it from an environment that nobody has activated."""
    if shutil.which("sususbot") is not None:
        return "sususbot"
    started = Path(sys.argv[0])
    if started.stem != "sususbot":
        return f"{_runnable(Path(sys.executable))} -m sususbot"
    return _runnable(started)


def _runnable(path: Path) -> str:
    """As it is typed. PowerShell takes a quoted text for a text, unless it is told to call it."""
    typed = _quoted(_from_here(path))
    return f"& {typed}" if sys.platform == "win32" and typed.startswith('"') else typed


def _from_here(path: Path) -> Path:
    """By the shorter way. There is none from one drive of Windows to another."""
    try:
        near = Path(os.path.relpath(path))
    except ValueError:
        return path.absolute()
    return min(near, path.absolute(), key=lambda one: len(str(one)))


def _quoted(path: Path) -> str:
    if sys.platform != "win32":
        return shlex.quote(str(path))
    # No name can have the marks in it there.
    return str(path) if re.fullmatch(r"[\w.:\\/-]+", str(path)) else f'"{path}"'
