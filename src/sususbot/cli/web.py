"""`sususbot web`: the bot behind the page, loaded when it is first needed and let go of when it must be.

The page itself is `web`, which builds nothing: what it may do with a bot stands in its `Desk`, and is filled here.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sususbot.cli.main import Place
from sususbot.cli.output import say

if TYPE_CHECKING:
    from sususbot.analysis.analysis import Analysis
    from sususbot.archive.archive import Archive
    from sususbot.forgetting import Forgetting
    from sususbot.memory.long_term import LongTerm
    from sususbot.messages import Author
    from sususbot.settings import Settings
    from sususbot.web.desk import Desk, Scene, Talk


@click.command("web", epilog="Example:  sususbot web --open")
@click.option("--open", "open_", is_flag=True, help="Open the page in a browser, too.")
@click.option("--allow-stale", is_flag=True, help="Use an adapter that learned from members who said no since.")
@click.pass_obj
def web(place: Place, open_: bool, allow_stale: bool) -> None:
    """The local page: chat, memory, data, training, health. Prints the link to it; Ctrl-C stops.

    It listens on this machine alone (WEB_HOST, WEB_PORT); whoever has the link is the owner.
    """
    from sususbot.bot.logs import logged
    from sususbot.cli.browser import Door
    from sususbot.cli.folder import load_settings, open_archive
    from sususbot.errors import MissingExtra

    try:
        from sususbot.web.server import Visitor, serve
    except ImportError as error:
        raise MissingExtra("the web page", "web") from error

    settings = load_settings(place)
    # Without LOG_FILE: it is the bot's, which may run beside this.
    with logged(settings.log_level, secrets=settings.secrets), open_archive(place) as archive:
        bot = PageBot(settings, place, archive, allow_stale=allow_stale)

        def started(link: str) -> None:
            _tell(link)
            if open_:
                door.open(link)

        try:
            with Door(place.data, _tell_unopened) as door:
                visitor = Visitor(None, door.come)
                serve(bot.desk(), settings.web_host, settings.web_port, settings.web_password, started, visitor)
        finally:
            bot.close()


class PageBot:
    """The bot behind the page: its parts are loaded when they are first needed, and let go of when they must be: an
    adapter that became stale, and an index whose folder is to go.
    """

    def __init__(
        self,
        settings: "Settings",
        place: Place,
        archive: "Archive",
        *,
        allow_stale: bool = False,
        scene: "Scene | None" = None,
    ) -> None:
        self._settings = settings
        self._scene = scene
        self._place = place
        self._archive = archive
        self._allow_stale = allow_stale
        self._lock = threading.RLock()
        self._long_term: LongTerm | None = None
        self._talk: Talk | None = None

    def desk(self) -> "Desk":
        """What the pages get of it."""
        from sususbot.cli.build import sampling
        from sususbot.web.desk import Desk

        return Desk(
            settings=self._settings,
            data=self._place.data,
            env=self._place.env or Path(".env"),
            archive=self._archive,
            sampling=sampling(self._settings),
            wake=self.wake,
            forget=self.forget,
            forgetting=self._forgetting(),
            changed=self.changed,
            recollect=self.recollect,
            analyze=self.analyze,
            scene=self._scene,
        )

    def wake(self) -> "Talk":
        """Blocks while it loads; others who come meanwhile wait for the same.

        Raises AdapterStale, also of one that was in use until now.
        """
        with self._lock:
            self._let_go_of_stale()
            if self._talk is None:
                self._talk = self._load()
            return self._talk

    def recollect(self) -> "LongTerm":
        """Long-term memory, which is the same whether or not the model is awake. Blocks as `wake` does."""
        with self._lock:
            return self._recollected()

    def analyze(self, progress: "Callable[[int, int], None]") -> "Analysis":
        """By the settings as they are now: the rules may have been switched."""
        from sususbot.cli.analyzing import analysis_of
        from sususbot.cli.folder import load_settings

        return analysis_of(self._archive, load_settings(self._place), progress)

    def forget(self, author: "Author") -> tuple[str, ...]:
        """As the command does it, and the bot that is awake knows them no more either."""
        from sususbot.archive.archive import now_ms
        from sususbot.forgetting import told

        try:
            gone = self._forgetting().forget(author.id, at=now_ms())
        finally:
            # Also where something is left to be done: from its beginning on, nothing of theirs is to be used.
            self.changed(self._archive.consents.depending_on(author.id))
        return tuple(told(gone))

    def changed(self, ids: "Sequence[int]") -> None:
        """What is held in memory follows: without those whose words are gone, with those that are there again."""
        from sususbot.web.talks import forget_all

        forget_all()
        with self._lock:
            self._let_go_of_stale()
            if self._talk is not None:
                self._talk.short_term.changed(ids)
            if self._long_term is not None:
                self._long_term.drop_stale(ids)
                while self._long_term.learn(ids):
                    pass

    def close(self) -> None:
        talk, self._talk = self._talk, None
        if talk is not None:
            talk.close()
        long_term, self._long_term = self._long_term, None
        if long_term is not None:
            long_term.close()

    def _let_go_of_stale(self) -> None:
        """A bot whose weights learned from who does not agree any more ends; loading it again says why it cannot be."""
        from sususbot.cli.engines import complaint_of, weights_used

        if self._talk is None or self._allow_stale:
            return
        used = weights_used(self._settings, self._place.data)
        if any(complaint_of(path, self._place, self._archive) is not None for path in used):
            self._talk.close()
            self._talk = None

    def _forgetting(self) -> "Forgetting":
        from sususbot.cli.folder import forgetting

        made = forgetting(self._place, self._settings, self._archive)
        made.around_index = self._without_index
        return made

    @contextmanager
    def _without_index(self) -> "Iterator[None]":
        """Nobody has the index open while its folder goes; it is opened again when it is next needed."""
        with self._lock:
            if self._settings.vector_db == "chroma" and self._settings.chroma_url is None:
                self.close()
            yield

    def _recollected(self) -> "LongTerm":
        from sususbot.cli.build import recollection

        if self._long_term is None:
            self._long_term = recollection(self._settings, self._place, self._archive)
        return self._long_term

    def _load(self) -> "Talk":
        from sususbot.cli.build import build, sampling
        from sususbot.web.desk import Talk

        parts = build(
            self._settings,
            self._place,
            self._archive,
            allow_stale=self._allow_stale,
            long_term=self._recollected(),
        )

        def close() -> None:
            parts.short_term.close()
            parts.inference.close()

        return Talk(
            parts.responder, parts.long_term, parts.short_term, parts.backends[0], sampling(self._settings), close
        )


def _tell(link: str) -> None:
    say("the page is at")
    click.echo(link)
    say("Ctrl-C stops")


def _tell_unopened() -> None:
    say("no browser with a window came up: open that link yourself")
