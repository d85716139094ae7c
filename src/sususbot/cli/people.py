"""Who is meant: an id or a name as the owner types it, to one account."""

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Final

from sususbot.archive.archive import Archive
from sususbot.errors import ConsentError

# An id, alone or as a mention; one that nobody in the archive has is believed when it looks like Discord's.
_ID: Final = re.compile(r"(?:<@!?)?(-?\d{1,19})>?", re.ASCII)
_SNOWFLAKE: Final = range(10**14, 1 << 63)
_SHOWN: Final = 5


class People:
    """The accounts of an archive, by id and by every name they were seen with."""

    def __init__(self, archive: Archive) -> None:
        self._names = archive.names()
        self._current = {id_: author.display_name for id_, author in archive.authors().items()}
        self._forgotten = archive.erasure.forgotten(self._names)

    def find(self, text: str) -> int:
        """The id of who is meant. Raises ConsentError with the candidates where that is nobody, or several."""
        text = text.strip()
        id_ = int(found[1]) if (found := _ID.fullmatch(text)) else 0
        if id_ in self._names:
            return id_
        wanted = text.removeprefix("@")
        for key in (str, str.casefold):
            called = {id_ for id_, name in self._pairs() if key(name) == key(wanted)}
            if len(called) == 1:
                return called.pop()
            if called:
                raise ConsentError(f"{wanted} may be {self._listed(called, 'or')}: give the id")
        if id_ in _SNOWFLAKE:
            return id_
        raise ConsentError(f"nobody in the archive is called {wanted}{self._near(wanted)}")

    def called(self, author_id: int) -> str:
        """`mia (123)`: a name to be read, and the id that settles it."""
        name = "" if author_id in self._forgotten else self._current.get(author_id, "")
        return f"{name} ({author_id})" if name else str(author_id)

    def _pairs(self) -> Iterator[tuple[int, str]]:
        """A forgotten member has no name, and nobody is found by what stands in its place."""
        for id_, names in self._names.items():
            if id_ not in self._forgotten:
                yield from ((id_, name) for name in names if name)

    def _near(self, wanted: str) -> str:
        """The next step: who may have been meant."""
        by_name = {name.casefold(): id_ for id_, name in sorted(self._pairs(), reverse=True)}
        begins = [name for name in sorted(by_name) if wanted and name.startswith(wanted.casefold())]
        near = [*begins, *difflib.get_close_matches(wanted.casefold(), by_name, n=_SHOWN)][:_SHOWN]
        if not near:
            return ":  sususbot consent list  shows all members"
        return f": did you mean {self._listed(dict.fromkeys(by_name[name] for name in near), 'or')}?"

    def _listed(self, ids: Iterable[int], word: str) -> str:
        ids = list(ids) if isinstance(ids, dict) else sorted(ids)
        shown = [self.called(id_) for id_ in ids[:_SHOWN]]
        if len(ids) > _SHOWN:
            shown.append(f"{len(ids) - _SHOWN} others")
        return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} {word} {shown[-1]}"
