"""Taking a member's words away everywhere: archive, vectors, Chroma, corpora, reports, files left behind.

Four occasions, one way: a member is to be forgotten; a member said no to everything; words are past their time; words
were taken back on Discord.
What can be made again (corpora, reports, benchmarks, a Chroma folder, the own linker) goes as a whole. What a training
made of their words stays and is named (`training/runs`), but for files of it that name them: a vocabulary, also in a
GGUF. Models from elsewhere are not looked at: nobody's words are in them that we put there.

**Invariant.** The wish is on record before anything is touched, and off it only when nothing is left. So whatever ends
the program between, `resume` (a command that opens the archive begins with it) goes on from there.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sususbot.archive.archive import FILE_NAME, Archive, now_ms
from sususbot.archive.consents import Statement
from sususbot.archive.database import in_use
from sususbot.artifacts import (
    BENCH,
    BOT_LOCK,
    CHROMA,
    CHROMA_LOCK,
    CORPORA,
    DEMO,
    EVALUATION,
    FILES,
    LINKER,
    LOGS,
    MANIFEST,
    MODELS,
    REPORTS,
    ROOMS,
    RUNS,
    SESSIONS,
    authors_of,
    delete,
    files_below,
    there,
)
from sususbot.errors import ArchiveLocked
from sususbot.file_lock import held
from sususbot.log_content import MARK
from sususbot.memory.own_links import teachers
from sususbot.messages import joined_names
from sususbot.model import gguf_header
from sususbot.sources.traces import Traces, holds
from sususbot.taken_back import delete_in_benchmarks, made_of

# The archive is SQLite's: it empties its files itself. A copy of it is a file like others.
_ARCHIVE: Final = tuple(FILE_NAME + ending for ending in ("", "-wal", "-shm", "-journal"))
# Not read through: models, and the made-up server of the demo.
_OURS_ALONE: Final = frozenset({MODELS, DEMO})
# Numbers, not words; of a GGUF all but its vocabulary.
_WEIGHTS: Final = frozenset({".safetensors", ".bin", ".pt", ".pth"})
_GGUF: Final = ".gguf"
# A shorter name stands in too many texts that mean somebody else.
_TELLING: Final = 3
# A log with words in it does not say whose they are.
_WORDS: Final = re.compile(re.escape(MARK.encode()))
# What a write that was interrupted leaves behind.
_LEFTOVER: Final = re.compile(r"\.(?:tmp|part|new|partial)(?:\.|$)|~$")


@dataclass(frozen=True, slots=True)
class Gone:
    """What was taken away: messages that lost their words, and files and folders below the data folder."""

    messages: int = 0
    files: tuple[str, ...] = ()

    def __add__(self, other: "Gone") -> "Gone":
        return Gone(self.messages + other.messages, tuple(dict.fromkeys((*self.files, *other.files))))

    @property
    def steps(self) -> list[str]:
        """What makes again what can be made again."""
        made = {next((way for begin, way in _MAKES if name.startswith(begin)), "") for name in self.files}
        return [way for _, way in _MAKES if way in made]


_MAKES: Final = (
    (CORPORA, "sususbot build"),
    (f"{REPORTS}/{EVALUATION}", "sususbot eval"),
    (REPORTS, "sususbot analyze"),
    (LINKER, "sususbot index --fit-links"),
)


class Forgetting:
    """Takes words away in one data folder."""

    def __init__(self, archive: Archive, folder: Path, *, chroma_url: str | None = None) -> None:
        self._archive = archive
        self._folder = folder
        self._chroma_url = chroma_url
        self.around_index: Callable[[], AbstractContextManager[None]] = nullcontext
        """Entered while the Chroma folder goes: who has it open closes it."""

    def forget(self, author_id: int, *, at: int) -> Gone:
        """Erase a member for good. Raises ArchiveLocked or VectorStoreError where another program is in the way."""
        self._archive.erasure.begin(author_id, at=at)
        return self.resume(at=at)

    def unsay(self, message_id: int, *, at: int) -> Gone:
        """Take one message away for good, and what may hold its words. Raises as `forget` does.

        Not taken back: what a model learned of it; no run on disk tells which messages it read.
        """
        self._archive.erasure.begin_unsaying([message_id])
        return self.resume(at=at)

    def repeating(self, message_id: int) -> list[str]:
        """The files and folders that would go with a message."""
        return [self._name(path) for path in self._repeating(message_id)]

    def answer(self, statements: Sequence[Statement], *, at: int) -> tuple[int, Gone]:
        """Write members' answers down, and take away what has no purpose any more; gives how many were new, too."""
        new = self.write_down(statements)
        return new, self.resume(at=at)

    def write_down(self, statements: Sequence[Statement]) -> int:
        """Members' answers, and on record what is to go with them: `resume` takes it away. Gives how many were new."""
        return self._archive.consents.add(statements)

    def resume(self, *, at: int) -> Gone:
        """Finish what was begun, and take away the words of who said no to everything; mostly that is nothing."""
        for author_id in self._archive.consents.refused():
            self._archive.erasure.begin(author_id, at=at, may_return=True)
        unfinished = self._archive.erasure.unfinished()
        gone = sum((self._take_away(author_id) for author_id in unfinished), Gone())
        if unfinished:
            self._archive.erasure.finish(unfinished, at=at)
        gone += self._take_unsaid(at=at)
        gone += self.drop_corpora() + self.drop_reports() + self.drop_linker()
        return gone + self.drop_withdrawn() + self._drop_worn_index()

    def expire(self, before: int) -> Gone:
        """Take away all that was said before this moment (ms), and what was made of it."""
        gone = Gone(len(self._archive.erasure.expire(before)))
        if self._archive.erasure.expired():
            gone += self.drop_expired() + self.drop_index()
            self._archive.erasure.finish_expired()
        return gone

    def drop_expired(self) -> Gone:
        """Remove what may have been made of expired words, but for the Chroma folder, which a running bot has open."""
        if not self._archive.erasure.expired():
            return Gone()
        made_of_them = [*self._corpora(), *there(self._folder / REPORTS, self._folder / BENCH)]
        made_of_them += [path for path in files_below(self._folder / LOGS) if holds(path, _WORDS)]
        return Gone(0, tuple(self._remove(path) for path in made_of_them))

    def drop_withdrawn(self) -> Gone:
        """Remove what may hold words that were deleted or edited on Discord since, but for the Chroma folder."""
        withdrawn = self._archive.withdrawn.messages()
        if not withdrawn:
            return Gone()
        gone = Gone(
            0, tuple(self._remove(path) for path in made_of(withdrawn, self._corpora(), self._folder / REPORTS))
        )
        delete_in_benchmarks(withdrawn, self._folder / BENCH)
        self._archive.withdrawn.settle(withdrawn, at=now_ms())
        return gone

    def drop_corpora(self) -> Gone:
        """Remove corpora that hold words of members who may not be learned from (any more)."""
        held = [(folder, authors_of(folder)) for folder in self._corpora()]
        everybody = {author for _, authors in held for author in authors or ()}
        may_learn = self._archive.consents.may_learn(everybody)
        return Gone(0, tuple(self._remove(folder) for folder, authors in held if authors and not authors <= may_learn))

    def drop_reports(self) -> Gone:
        """Remove reports if they may show words of members who may not be quoted (any more)."""
        room = self._folder / REPORTS
        shown = {folder: authors_of(folder) or frozenset() for folder in (room, *there(*room.glob("*")))}
        may_quote = self._archive.consents.may_quote({author for authors in shown.values() for author in authors})
        if not shown.pop(room) <= may_quote:
            return Gone(0, (self._remove(room),))
        return Gone(0, tuple(self._remove(folder) for folder in sorted(shown) if not shown[folder] <= may_quote))

    def drop_linker(self) -> Gone:
        """Remove the server's own linker if it learned from members who may not be learned from (any more).

        One that does not say from whom goes, too.
        """
        learned = teachers(self._folder)
        if learned is not None and learned <= self._archive.consents.may_learn(learned):
            return Gone()
        return Gone(0, (self._remove(self._folder / LINKER),))

    def drop_index(self) -> Gone:
        """Remove the Chroma folder: it keeps vectors that were deleted from it. The next start fills it again."""
        return Gone(0, tuple(self._remove(path) for path in there(self._folder / CHROMA)))

    def _drop_worn_index(self) -> Gone:
        """Deletions on Discord are many: for them alone, no bot loses its search by meaning until its next start."""
        due = self._archive.withdrawn.index_due()
        if due is None or (due == "unused" and held(self._folder / CHROMA / CHROMA_LOCK, shared=False)):
            return Gone()
        with suppress(ArchiveLocked) if due == "unused" else nullcontext():
            gone = self.drop_index()
            self._archive.withdrawn.index_gone()
            return gone
        return Gone()

    def about(self, author_id: int) -> list[str]:
        """The files and folders that would go with a member."""
        return [self._name(path) for path in self._holding(author_id)]

    def naming(self, author_ids: Collection[int]) -> list[str]:
        """Files that name one of these by id, whatever they are; not the archive, models, and what runs put down."""
        if not author_ids:
            return []
        pattern = Traces(author_ids).pattern()
        rooms = [self._folder / room for room in (CORPORA, REPORTS, BENCH)]
        made = [path for room in there(*rooms) for path in files_below(room)]
        return [self._name(path) for path in (*made, *self._other_files()) if _holds(path, pattern)]

    def _take_away(self, author_id: int) -> Gone:
        # Files first: as long as the archive knows the names, they can be looked for.
        files = [self._remove(path) for path in self._holding(author_id)]
        messages = self._archive.erasure.carry_out(author_id)
        self._tell_chroma(self._archive.erasure.tombstones(author_id))
        return Gone(messages, tuple(files))

    def _take_unsaid(self, *, at: int) -> Gone:
        """Messages that are to be taken away; each step may be done again."""
        ids = self._archive.erasure.unsaying()
        if not ids:
            return Gone()
        files = tuple(self._remove(path) for id_ in ids for path in self._repeating(id_))
        count = self._archive.delete(ids, at=at)
        self._archive.erasure.scrub(ids)
        self._tell_chroma(ids)
        self._archive.erasure.finish_unsaying(ids)
        return Gone(count, files)

    def _tell_chroma(self, ids: Sequence[int]) -> None:
        if self._chroma_url is None:
            return
        from sususbot.memory.chroma_index import remove_from_server

        remove_from_server(self._chroma_url, ids)

    def _names(self, author_id: int) -> tuple[str, ...]:
        return tuple(self._archive.erasure.names(author_id))

    def _holding(self, author_id: int) -> Iterator[Path]:
        """What goes with a member, in the order in which it goes."""
        yield from self._rebuildable()
        traces = Traces([author_id], self._names(author_id))
        pattern = traces.pattern()
        for folder in self._corpora():
            authors = authors_of(folder)
            if authors is None or author_id in authors or any(holds(path, pattern) for path in files_below(folder)):
                yield folder
        learned = teachers(self._folder)
        if learned is None or author_id in learned:
            yield self._folder / LINKER
        pattern = _or_words(traces.pattern(shortest=_TELLING))
        for path in self._other_files():
            if _LEFTOVER.search(path.name) or _holds(path, pattern):
                yield path

    def _repeating(self, message_id: int) -> Iterator[Path]:
        """What goes with a message: what shows words without saying whose, and what names it by its id."""
        yield from self._rebuildable()
        pattern = Traces([message_id]).pattern()
        yield from (folder for folder in self._corpora() if any(holds(path, pattern) for path in files_below(folder)))
        pattern = _or_words(pattern)
        yield from (path for path in self._other_files() if _holds(path, pattern))

    def _rebuildable(self) -> Iterator[Path]:
        """What tells of all members at once and is made again in minutes."""
        for room in (REPORTS, BENCH, CHROMA):
            yield from there(self._folder / room)

    def _corpora(self) -> list[Path]:
        return sorted(there(*(self._folder / CORPORA).glob("*")))

    def _other_files(self) -> Iterator[Path]:
        """Files that no rule above is for: logs, dumps, what an owner put there, words beside an adapter."""
        known = {CORPORA, REPORTS, BENCH, CHROMA, *_OURS_ALONE}
        for path in files_below(self._folder):
            room, *rest = path.relative_to(self._folder).parts
            # The archive is emptied by itself; no word stands in the others, and a running bot holds them or they go
            # by whom they were learned from.
            wordless = not rest and room in (*_ARCHIVE, SESSIONS, BOT_LOCK, LINKER)
            record = room == RUNS and (path.name == MANIFEST or path.suffix in _WEIGHTS)
            if not wordless and not record and not (rest and room in known):
                yield path

    def _remove(self, path: Path) -> str:
        """Delete a file or folder and give its name below the data folder."""
        with self.around_index() if path == self._folder / CHROMA else nullcontext():
            delete(path)
        return self._name(path)

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()


def purgeable(folder: Path) -> list[Path]:
    """Everything in a data folder that the program wrote, but base models."""
    rooms = [folder / room for room in ROOMS if room != MODELS]
    files = [path for name in FILES for path in sorted(folder.glob(name.format("*")))]
    leftovers = [path for path in folder.glob("*") if path.is_file() and _LEFTOVER.search(path.name)]
    return list(there(*(folder / name for name in _ARCHIVE), *files, *rooms, *sorted(leftovers)))


def purge(folder: Path) -> list[str]:
    """Delete it, and give the names. Raises ArchiveLocked, before anything is touched, while a program uses it."""
    found = purgeable(folder)
    if (folder / FILE_NAME).is_file() and in_use(folder / FILE_NAME):
        raise ArchiveLocked(f"{folder / FILE_NAME} is in use by another program: stop the bot and run the same again")
    for path in found:
        delete(path)
    return [path.relative_to(folder).as_posix() for path in found]


def left_by(folder: Path) -> list[str]:
    """What stands in the folder still."""
    return sorted(path.name + ("/" if path.is_dir() else "") for path in folder.glob("*"))


def told(gone: Gone) -> Iterator[str]:
    """What was done, in sentences."""
    if gone.messages:
        yield f"{gone.messages:,} messages lost their words"
    if gone.files:
        yield f"deleted: {', '.join(gone.files)}"
    if gone.steps:
        yield f"to make again what is needed:  {joined_names(gone.steps)}"


def _or_words(pattern: re.Pattern[bytes]) -> re.Pattern[bytes]:
    return re.compile(pattern.pattern + b"|" + _WORDS.pattern)


def _holds(path: Path, pattern: re.Pattern[bytes]) -> bool:
    """Whether a file names somebody; of a GGUF the vocabulary is asked, not its gigabytes of numbers."""
    pieces = None
    if path.suffix == _GGUF:
        with suppress(OSError):
            pieces = gguf_header.pieces(path)
    return holds(path, pattern) if pieces is None else any(pattern.search(piece) for piece in pieces)
