"""The sample community in the demo's folder: taken in, looked at, indexed, built into a corpus. The first stages.

What of it is done is asked of the folder itself. Beside it stands, in `demo.json`, which sample and which program made
it: where that is another, or the rules of somebody's own server went over these messages, all is made anew.
**Invariant.** Nothing is trained, and nothing deleted, in a folder that holds anybody else's messages: nobody is asked
for permission to train here, since the people of the sample are made up. What the demo did not make stays in any case.
Not here: how stages look (`stages`), the tiny model (`tiny`).
"""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from sususbot import __version__, sample
from sususbot.artifacts import ANALYSIS, CORPORA, MANIFEST, REPORTS
from sususbot.cli import tiny
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
ENV: Final = "demo.env"
_ENV_TEXT: Final = (
    "# Settings of commands that are run on the demo's folder: the made-up server is not to follow your own server's.\n"
)
_ARCHIVE: Final = (Path("archive.db"), Path("archive.db-wal"), Path("archive.db-shm"))
_PAGE: Final = Path(REPORTS, ANALYSIS)
_CORPUS: Final = Path(CORPORA, "default")
# What the demo makes in its folder, by name: whatever else lies there stays.
_MADE: Final = (*_ARCHIVE, _CORPUS, _PAGE, _PAGE.with_name(MANIFEST), *tiny.MADE)
# So many of the oldest messages are gone together where they expired, and hardly otherwise.
_OLDEST: Final = 20
_CONSENT: Final = "opt-out"
_ANOTHER: Final = "the sample or the program is another than last time: all is made anew"
_EXPIRED: Final = "another command's RETENTION_DAYS erased the sample's messages: they are taken in anew"


def prepare(folder: Path) -> str | None:
    """A folder with nothing in it of another sample or program, nor of one that expired; why something had to go.

    Raises SettingsError, and changes nothing, where it is not the demo's alone.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        settings_file(folder)
        ours = {"sample": _digest(), "program": __version__}
        if _stamp(folder) == ours:
            return _EXPIRED if _has_expired(folder) and _emptied(folder, _ARCHIVE) else None
        gone = _emptied(folder, _MADE)
        (folder / STAMP).write_bytes(orjson.dumps(ours))
    except OSError as error:
        raise SettingsError(
            f"the demo's folder {folder} cannot be written ({error.strerror or error}): run it where you may write, or "
            "choose another folder with --data"
        ) from error
    return _ANOTHER if gone else None


def settings_file(folder: Path) -> Path:
    """For other commands on this folder: by the owner's own, RETENTION_DAYS would take a made-up past away."""
    path = folder / ENV
    if not path.exists():
        path.write_text(_ENV_TEXT, encoding="utf-8")
    return path


def claim(archive: "Archive", folder: Path) -> None:
    """Raises SettingsError where there are others' messages. Else silence means again what it does in the sample."""
    ours = {room.id for room in sample.channels()}
    others = [channel.name for channel in archive.channels() if channel.id not in ours]
    if others:
        raise SettingsError(
            f"{folder} holds channels that are not the sample's ({joined_names(others)}), and the demo trains on what "
            "it finds: move that archive elsewhere, or choose another folder with --data"
        )
    # Another command may have brought its owner's own.
    archive.consents.set_mode(_CONSENT)


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


def _has_expired(folder: Path) -> bool:
    """Whether RETENTION_DAYS went over it: the oldest are gone, and not with whoever said them."""
    from sususbot.archive.archive import Archive

    if not (folder / _ARCHIVE[0]).exists():
        return False
    with Archive(folder) as archive:
        known = archive.known(_oldest())
        left = known - archive.erasure.of_erased(known)
        return bool(left) and not archive.messages(left)


def _oldest() -> list[int]:
    ids = (int(one["id"]) for path in sample.exports() for one in orjson.loads(path.read_bytes())["messages"])
    return sorted(ids)[:_OLDEST]


def _emptied(folder: Path, of: Sequence[Path]) -> bool:
    from sususbot.archive.archive import Archive

    there = [path for name in of if (path := folder / name).exists()]
    if (folder / _ARCHIVE[0]).exists():
        with Archive(folder) as archive:
            claim(archive, folder)
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
        return self._place.data / _PAGE

    @property
    def _folder(self) -> Path:
        return self._place.data / _CORPUS

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
