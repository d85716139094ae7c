"""`sususbot demo`: import, index and talk, on the sample community that ships with the program."""

import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from sususbot.cli.main import Place
from sususbot.cli.output import bar, say, working

if TYPE_CHECKING:
    from sususbot.archive.archive import Archive

_QUESTIONS = 3


@click.command("demo", epilog='Example:  sususbot demo --once "who broke the printer?"')
@click.option("--once", metavar="TEXT", help="Answer this and end.")
@click.option("--why", is_flag=True, help="Show what each reply was made of.")
@click.pass_obj
def demo(place: Place, once: str | None, why: bool) -> None:
    """The whole path on a small made-up server, in a folder of its own (DATA/demo).

    With no terminal to talk through it asks three questions by itself and ends.
    """
    from sususbot.archive.archive import Archive
    from sususbot.cli.chat import TerminalChat
    from sususbot.settings import Settings

    place = Place(place.data / "demo", None, place.debug)
    # The demo is the same on every machine: no .env, no environment.
    settings = Settings.model_construct()
    with Archive(place.data) as archive:
        _prepare(archive, settings.embedding_model)
        with working("waking up"):
            talk = TerminalChat(settings, place, archive, "you")
        try:
            if once is not None:
                talk.answer(once, why=why)
            elif sys.stdin.isatty() and sys.stdout.isatty():
                say('this is The Leaky Kettle, a made-up server; try "who broke the printer?"')
                talk.run(why=why)
            else:
                for question in _questions()[:_QUESTIONS]:
                    click.echo(f"you: {question}")
                    talk.answer(question, why=why)
        finally:
            talk.close()


def _prepare(archive: "Archive", model: str) -> None:
    """Sample history in, vectors made: each only once."""
    from sususbot.errors import MissingExtra, ModelNotFound
    from sususbot.memory import indexing
    from sususbot.memory.embedding import MiniLM
    from sususbot.sources.ingest import ingest

    # Importing again adds what an interrupted run left out, in milliseconds.
    new = sum(ingest(archive, path).added.new for path in sample_exports())
    if new:
        say(f"imported {new} messages of the sample community      yours:  sususbot import export.json")
    if archive.vectors.count_pending():
        try:
            with working("loading the encoder"):
                embedder = MiniLM(model)
        except (MissingExtra, ModelNotFound) as error:
            say(f"searching by words alone: {error}")
            return
        with bar("embedding") as progress:
            done = indexing.index(archive, embedder, progress.messages)
        say(f"indexed {done} of them by meaning                 yours:  sususbot index")


def sample_exports() -> list[Path]:
    """The sample community's export files."""
    folder = Path(str(resources.files("sususbot") / "sample"))
    return sorted(path for path in folder.glob("*.json") if path.name != "questions.json")


def _questions() -> list[str]:
    text = (resources.files("sususbot") / "sample" / "questions.json").read_text(encoding="utf-8")
    return [item["question"] for item in orjson.loads(text)]
