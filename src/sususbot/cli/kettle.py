"""The sample community in the demo's folder: taken in, looked at, indexed, built into a corpus. The first stages.

What of it is done is asked of the folder itself. Beside it stands, in `demo.json`, which sample and which program made
it: where that is another, all is made anew.
**Invariant.** Nothing is trained, and nothing deleted, in a folder that holds anybody else's messages: nobody is asked
for permission to train here, since the people of the sample are made up.
Not here: how stages look (`stages`), the tiny model (`tiny`).
"""

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from sususbot import __version__, sample
from sususbot.artifacts import CORPORA, MODELS, REPORTS, RUNS
from sususbot.cli.output import bar, working
from sususbot.cli.stages import Stage
from sususbot.errors import CorpusError, SettingsError
from sususbot.messages import joined_names

if TYPE_CHECKING:
    from sususbot.analysis.analysis import Analysis
    from sususbot.archive.archive import Archive
    from sususbot.cli.main import Place
    from sususbot.corpus.manifest import Corpus
    from sususbot.corpus.recipe import Recipe
    from sususbot.settings import Settings

STAMP: Final = "demo.json"
# What the demo makes in its folder, and nothing else that may lie there.
_ARCHIVE: Final = ("archive.db", "archive.db-wal", "archive.db-shm")
_MADE: Final = (*_ARCHIVE, CORPORA, MODELS, REPORTS, RUNS)
_PAGE: Final = "analysis.html"


def prepare(folder: Path) -> bool:
    """A folder with nothing in it of another sample or program; whether something had to go.

    Raises SettingsError, and changes nothing, where it is not the demo's alone.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ours = {"sample": _digest(), "program": __version__}
        if _stamp(folder) == ours:
            return False
        gone = _emptied(folder)
        (folder / STAMP).write_bytes(orjson.dumps(ours))
    except OSError as error:
        raise SettingsError(
            f"the demo's folder {folder} cannot be written ({error.strerror or error}): run it where you may write, or "
            "choose another folder with --data"
        ) from error
    return gone


def check_own(archive: "Archive", folder: Path) -> None:
    """Raises SettingsError where there are others' messages."""
    ours = {room.id for room in sample.channels()}
    others = [channel.name for channel in archive.channels() if channel.id not in ours]
    if others:
        raise SettingsError(
            f"{folder} holds channels that are not the sample's ({joined_names(others)}), and the demo trains on what "
            "it finds: move that archive elsewhere, or choose another folder with --data"
        )


def _stamp(folder: Path) -> object:
    try:
        return orjson.loads((folder / STAMP).read_bytes())
    except (OSError, ValueError):
        return None


def _digest() -> str:
    """Of all that the sample holds: some milliseconds."""
    whole = hashlib.sha256(repr((sample.people(), sample.channels())).encode())
    for path in sample.exports():
        whole.update(path.read_bytes())
    return whole.hexdigest()


def _emptied(folder: Path) -> bool:
    from sususbot.archive.archive import Archive

    there = [path for name in _MADE if (path := folder / name).exists()]
    if (folder / _ARCHIVE[0]).exists():
        with Archive(folder) as archive:
            check_own(archive, folder)
    for path in there:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return bool(there)


# -- the stages


class Kettle:
    """The sample community in an archive of its own."""

    def __init__(self, place: "Place", settings: "Settings", archive: "Archive") -> None:
        self._place = place
        self._settings = settings
        self._archive = archive

    def stages(self) -> tuple[Stage, ...]:
        return (
            Stage("import", "sususbot import FILES  (consent set NAME no, forget NAME)", self._has_all, self._take_in),
            Stage("analyze", "sususbot analyze", self._page.is_file, self._analyze),
            Stage("index", "sususbot index", self._is_indexed, self._index),
            Stage("build", "sususbot build", lambda: self._known_corpus() is not None, self._build),
        )

    def corpus(self) -> "Corpus":
        """What was built. Raises CorpusError."""
        from sususbot.corpus.manifest import load

        return load(self._folder)

    @property
    def _page(self) -> Path:
        return self._place.data / REPORTS / _PAGE

    @property
    def _folder(self) -> Path:
        return self._place.data / CORPORA / "default"

    def _has_all(self) -> bool:
        """Whoever left was the last to be taken care of."""
        left = [person.id for person in sample.people() if person.status == "erased"]
        return set(self._archive.erasure.forgotten(left)) == set(left)

    def _take_in(self) -> str:
        from sususbot.evaluation.community import settle

        with bar("importing") as progress:
            settle(self._archive, self._place.data, lambda done, of: progress.update(done, of, f"{done // 1000:,} kB"))
        counts = self._archive.counts()
        return f"{counts.messages - counts.deleted:,} messages; nothing of who opted out or was erased"

    def _analyze(self) -> str:
        from sususbot.cli.analyzing import analysis_of, write_page

        with bar("analyzing") as progress:
            analysis = analysis_of(self._archive, self._settings, progress.messages, timezone="UTC")
        write_page(analysis, self._page, tracked=True)
        return f"{_in_short(analysis)}\n{self._page}"

    def _is_indexed(self) -> bool:
        vectors = self._archive.vectors
        return (
            vectors.embedder() is not None and not vectors.count_pending() and not self._archive.links.count_pending()
        )

    def _index(self) -> str:
        from sususbot.cli.build import make_embedder
        from sususbot.memory import indexing, own_links, terms
        from sususbot.memory.linking_pass import link_pending

        with bar("linking") as progress:
            terms.read(self._archive)
            link_pending(self._archive, *own_links.network_of(self._place.data), progress.messages)
        with working("loading the encoder"):
            embedder = make_embedder(self._settings, self._place, self._archive)
        with bar("embedding") as progress:
            indexing.index(self._archive, embedder, progress.messages)
        return f"{self._archive.vectors.count():,} messages can be found by meaning"

    def _recipe(self) -> "Recipe":
        """Nothing is kept apart, as it is too little, and nothing learned of a channel that not everybody may read."""
        from sususbot.cli.build import persona_text
        from sususbot.corpus.recipe import Recipe

        settings = self._settings
        persona = persona_text(settings, self._archive)
        return Recipe(settings.bot_name, persona, valid_share=0.0, audience=sample.public_channels())

    def _known_corpus(self) -> "Corpus | None":
        """The corpus, where it is of these messages and made in this way."""
        try:
            corpus = self.corpus()
        except CorpusError:
            return None
        made_by = orjson.loads(orjson.dumps(self._recipe().as_json()))
        return corpus if corpus.manifest["recipe"] == made_by and self._is_of(corpus) else None

    def _is_of(self, corpus: "Corpus") -> bool:
        """Whether nobody's words went, or said no, since it was built."""
        told = [author for author, mass in corpus.authors.items() if mass]
        return self._archive.consents.may_learn(told) == set(told)

    def _build(self) -> str:
        from sususbot.corpus.build import build
        from sususbot.corpus.tokens import token_counter

        of = self._archive.counts().messages
        with bar("building") as progress:
            built = build(
                self._archive, self._folder, self._recipe(), token_counter(), lambda done: progress.messages(done, of)
            )
        facts = built.corpus.manifest["files"]["train.jsonl"]
        return f"{facts['samples']:,} conversations, {facts['tokens']:,} tokens, of the public channels"


def _in_short(analysis: "Analysis") -> str:
    overview, week = analysis.overview, analysis.week
    return (
        f"{overview.authors} people in {overview.days} days, busiest on {week.busiest_day}s at {week.busiest_hour}:00"
    )
