"""ChromaDB, embedded or as a server, behind the `VectorIndex` protocol: for several machines that share one index.

It is given ids and vectors, never text: what was deleted must not be readable in its files, and what Chroma itself lets
into them is wiped out (`memory/chroma_files`). It is a copy that can always be made again: `synchronise` compares it
with the archive and mends the difference. Its search is approximate (HNSW), so cosines are computed again from the
stored vectors. Channels stay on our side (its filtered search is ten times slower), hence the over-fetch; where even
that finds too few, the audience's vectors are compared one by one.
One process, one client: an embedded store does not see another process's writes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

import numpy as np

from sususbot.archive.vectors import Ids, Matrix
from sususbot.artifacts import CHROMA_LOCK
from sususbot.errors import MissingExtra, SettingsError, VectorStoreError
from sususbot.file_lock import Held, hold
from sususbot.memory.chroma_files import wipe
from sususbot.memory.places import Channels
from sususbot.memory.vector_index import Hits, Vector, VectorIndex
from sususbot.messages import Audience
from sususbot.proxy import shown

_COLLECTION: Final = "messages"
# Chroma refuses larger batches (its SQLite allows so many parameters).
_BATCH: Final = 5000
# For a server to answer; it takes some to write a whole batch.
_SECONDS: Final = 30.0


def chroma_index(dimensions: int | None, folder: str, url: str | None) -> VectorIndex:
    try:
        import chromadb
        from chromadb.config import Settings
    except ImportError as error:
        raise MissingExtra("VECTOR_DB=chroma", "chroma") from error
    # Chroma reports its use to its makers unless told not to.
    if url is None:
        settings = Settings(anonymized_telemetry=False)
        client = partial(chromadb.PersistentClient, folder, settings=settings)
        return ChromaIndex(client, dimensions, f"Chroma cannot use {folder}: set VECTOR_DB=exact", folder=Path(folder))
    host, port, secure = _address(url)
    # Reading the certificates takes 60 ms: not where there is nothing to verify.
    settings = Settings(anonymized_telemetry=False, chroma_server_ssl_verify=None if secure else False)
    client = partial(chromadb.HttpClient, host, port, ssl=secure, settings=settings)
    return ChromaIndex(
        client, dimensions, f"the Chroma server at {shown(url)} does not answer: start it, or set VECTOR_DB=exact"
    )


def remove_from_server(url: str, ids: Sequence[int]) -> None:
    """Let a server find these no more, whatever fills or searches it. Raises VectorStoreError.

    It keeps deleted vectors in its files until its folder is deleted, too; that is for whoever runs it.
    """
    if not ids:
        return
    index = chroma_index(None, "", url)
    try:
        index.remove(ids)
    finally:
        index.close()


class ChromaIndex:
    """One Chroma collection."""

    def __init__(
        self, connect: Callable[[], Any], dimensions: int | None, complaint: str, *, folder: Path | None = None
    ) -> None:
        """`complaint` is the sentence for the user when Chroma fails; `folder` where its files are, if here."""
        self._complaint = complaint
        self._folder = folder
        self._channels = Channels()
        self._dimensions = dimensions or 0
        with ExitStack() as opened, self._told():
            if folder is not None:
                opened.enter_context(_lock(folder))
            self._client = connect()
            self._sessions = _sessions(self._client)
            for session in self._sessions:
                session.timeout = _SECONDS
            self._collection = self._open(dimensions)
            self._opened = opened.pop_all()

    def synchronise(self, pieces: Iterable[tuple[Ids, Ids, Matrix]]) -> None:
        # Reading writes as well: Chroma takes in first what it had not when it was killed.
        with self._changing():
            there = {int(id_) for id_ in self._collection.get(include=[])["ids"]}
        self._channels = Channels()
        for ids, channels, matrix in pieces:
            self._channels.put(ids, channels)
            known = self._vectors([id_ for id_ in ids.tolist() if id_ in there])
            # Also a vector that changed while this store was not looking.
            rows = [row for row, id_ in enumerate(ids.tolist()) if not np.array_equal(known.get(id_, ()), matrix[row])]
            self.add(ids[rows].tolist(), channels[rows].tolist(), matrix[rows])
        stored = np.array(sorted(there), np.int64)
        self.remove(stored[~self._channels.audible(stored)].tolist())

    def add(self, ids: Sequence[int], channels: Sequence[int], matrix: Matrix) -> None:
        # Chroma refuses an id that comes twice; the last one counts.
        rows = {id_: row for row, id_ in enumerate(ids)}
        for part in _batches(list(rows)):
            with self._changing():
                self._collection.upsert(ids=_names(part), embeddings=matrix[[rows[id_] for id_ in part]])
        chosen = np.array([*rows.values()], np.int64)
        self._channels.put(np.array([*rows], np.int64), np.array(channels, np.int64)[chosen])

    def remove(self, ids: Sequence[int]) -> None:
        for part in _batches(list(dict.fromkeys(ids))):
            with self._changing():
                self._collection.delete(ids=_names(part))
            self._channels.drop(np.array(part, np.int64))

    def search(self, query: Vector, *, limit: int, audience: Audience = None) -> Hits:
        allowed = self._channels.count(audience)
        fetch = limit
        while 0 < fetch < allowed:
            near = self._nearest(query, min(fetch, len(self)))
            audible = self._channels.audible(np.array([id_ for id_, _ in near], np.int64), audience)
            hits = [hit for hit, heard in zip(near, audible.tolist(), strict=True) if heard]
            if len(hits) >= limit:
                return _best(hits, limit)
            fetch *= 4
        return _best(self.cosines(query, self._channels.all_audible(audience).tolist()).items(), limit) if limit else []

    def cosines(self, query: Vector, ids: Sequence[int]) -> dict[int, float]:
        return {id_: float(vector @ query) for id_, vector in self._vectors(ids).items()}

    def cosines_of(self, query: Vector, ids: Ids) -> Vector:
        known = self.cosines(query, ids.tolist())
        return np.array([known.get(id_, np.nan) for id_ in ids.tolist()], np.float32)

    def rows(self, ids: Ids) -> Matrix:
        vectors = self._vectors(ids.tolist())
        matrix: Matrix = np.zeros((len(ids), self._dimensions), np.float32)
        for row, id_ in enumerate(ids.tolist()):
            if (vector := vectors.get(id_)) is not None:
                matrix[row] = vector
        return matrix

    def __len__(self) -> int:
        return self._channels.count()

    def close(self) -> None:
        self._channels = Channels()
        self._client.close()
        for session in self._sessions:
            session.close()
        self._opened.close()

    def _nearest(self, query: Vector, count: int) -> list[tuple[int, float]]:
        with self._told():
            found = self._collection.query(query_embeddings=query[None], n_results=count, include=["embeddings"])
        cosines = np.asarray(found["embeddings"][0], np.float32) @ query
        return list(zip(map(int, found["ids"][0]), cosines.tolist(), strict=True))

    def _vectors(self, ids: Sequence[int]) -> dict[int, Vector]:
        vectors: dict[int, Vector] = {}
        wanted = np.unique(np.array(ids, np.int64))
        for part in _batches(wanted[self._channels.audible(wanted)].tolist()):
            with self._told():
                found = self._collection.get(ids=_names(part), include=["embeddings"])
            vectors.update(zip(map(int, found["ids"]), np.asarray(found["embeddings"], np.float32), strict=True))
        return vectors

    def _open(self, dimensions: int | None) -> Any:
        """The collection; one that another encoder filled has other dimensions for good, and is begun anew."""
        collection = self._created(dimensions)
        if dimensions is not None and (collection.metadata or {}).get("dimensions") != dimensions:
            self._client.delete_collection(_COLLECTION)
            collection = self._created(dimensions)
        return collection

    def _created(self, dimensions: int | None) -> Any:
        # No embedding function: Chroma would download a model of its own.
        return self._client.get_or_create_collection(
            _COLLECTION,
            metadata=None if dimensions is None else {"dimensions": dimensions},
            embedding_function=None,
            configuration={"hnsw": {"space": "ip", "ef_search": 200}},
        )

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """A change of Chroma's files, which are clean afterwards."""
        with self._told():
            try:
                yield
            finally:
                if self._folder is not None:
                    wipe(self._folder)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Whatever Chroma or the way to its server raises, as ours."""
        try:
            yield
        except Exception as error:
            raise VectorStoreError(f"{self._complaint} ({type(error).__name__})") from error


def _lock(folder: Path) -> IO[bytes]:
    """Until it is closed nobody takes the folder away for what can wait. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / CHROMA_LOCK).open("a+b")
    # Windows lets only one hold it, and a disk perhaps nobody.
    with suppress(Held, SettingsError):
        hold(lock, shared=True)
    return lock


def _address(url: str) -> tuple[str, int, bool]:
    """Host, port, and whether the way there is encrypted."""
    with suppress(ValueError):
        place = urlsplit(url)
        if place.hostname:
            return place.hostname, place.port or 8000, place.scheme == "https"
    raise SettingsError(f"CHROMA_URL={shown(url)} is no address: write it as  http://host:8000")


def _sessions(client: Any) -> list[Any]:
    """The connections to a server: Chroma waits on them for ever and leaves them open, if it is let."""
    owners: list[Any] = [getattr(part, "_server", None) for part in (client, getattr(client, "_admin_client", None))]
    return [owner._session for owner in owners if hasattr(owner, "_session")]


def _batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _BATCH):
        yield ids[start : start + _BATCH]


def _names(ids: Iterable[int]) -> list[str]:
    return [str(id_) for id_ in ids]


def _best(hits: Iterable[tuple[int, float]], limit: int) -> Hits:
    return sorted(hits, key=lambda hit: -hit[1])[:limit]
