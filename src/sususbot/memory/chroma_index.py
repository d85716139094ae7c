"""ChromaDB, embedded or as a server, behind the `VectorIndex` protocol: for several machines that share one index.

It is given ids and vectors, never text: what was deleted must not be readable in its files. It is a copy that can
always be made again: `synchronise` compares it with the archive and mends the difference. Its search is approximate
(HNSW), so cosines are computed again from the stored vectors. Channels stay on our side (its filtered search is ten
times slower), hence the over-fetch. One process, one client: an embedded store does not see another process's writes.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np

from sususbot.archive.vectors import Ids, Matrix
from sususbot.archive.words import Hits
from sususbot.errors import MissingExtra, SettingsError, VectorStoreError
from sususbot.memory.vector_index import Vector, VectorIndex
from sususbot.messages import Audience

_COLLECTION: Final = "messages"
# Chroma refuses larger batches (its SQLite allows so many parameters).
_BATCH: Final = 5000


def chroma_index(dimensions: int, folder: str, url: str | None) -> VectorIndex:
    try:
        import chromadb
        from chromadb.config import Settings
    except ImportError as error:
        raise MissingExtra("VECTOR_DB=chroma", "chroma") from error
    # Chroma reports its use to its makers unless told not to.
    settings = Settings(anonymized_telemetry=False)
    try:
        if url is None:
            return ChromaIndex(chromadb.PersistentClient(folder, settings=settings), dimensions)
        place = urlsplit(url)
        if place.hostname is None:
            raise SettingsError(f"CHROMA_URL={url} is no address: write it as  http://host:8000")
        client = chromadb.HttpClient(place.hostname, place.port or 8000, ssl=place.scheme == "https", settings=settings)
        return ChromaIndex(client, dimensions)
    except SettingsError:
        raise
    except Exception as error:
        where = f"the Chroma server at {url} does not answer: start it, or" if url else f"Chroma cannot use {folder}:"
        raise VectorStoreError(f"{where} set VECTOR_DB=exact ({type(error).__name__})") from error


class ChromaIndex:
    """One Chroma collection."""

    def __init__(self, client: Any, dimensions: int) -> None:
        self._client = client
        self._dimensions = dimensions
        self._channels: dict[int, int] = {}
        self._collection = self._open()

    def synchronise(self, pieces: Iterable[tuple[Ids, Ids, Matrix]]) -> None:
        there = {int(id_) for id_ in self._collection.get(include=[])["ids"]}
        self._channels.clear()
        for ids, channels, matrix in pieces:
            # An id's vector may have changed while this store was not looking: everything is written again.
            self.add(ids.tolist(), channels.tolist(), matrix)
        self.remove(sorted(there - self._channels.keys()))

    def add(self, ids: Sequence[int], channels: Sequence[int], matrix: Matrix) -> None:
        for start in range(0, len(ids), _BATCH):
            part = ids[start : start + _BATCH]
            self._collection.upsert(ids=[str(id_) for id_ in part], embeddings=matrix[start : start + _BATCH])
        self._channels.update(zip(ids, channels, strict=True))

    def remove(self, ids: Sequence[int]) -> None:
        for start in range(0, len(ids), _BATCH):
            self._collection.delete(ids=[str(id_) for id_ in ids[start : start + _BATCH]])
        for id_ in ids:
            self._channels.pop(id_, None)

    def search(self, query: Vector, *, limit: int, audience: Audience = None) -> Hits:
        fetch = limit
        while True:
            fetch = min(fetch, len(self._channels))
            if not fetch:
                return []
            found = self._collection.query(query_embeddings=query[None], n_results=fetch, include=["embeddings"])
            ids = [int(id_) for id_ in found["ids"][0]]
            kept = [
                row
                for row, id_ in enumerate(ids)
                if id_ in self._channels and (audience is None or self._channels[id_] in audience)
            ]
            # Fewer than asked came back: the graph has no more to give.
            if len(kept) >= limit or fetch == len(self._channels) or len(ids) < fetch:
                break
            fetch *= 4
        cosines = np.asarray(found["embeddings"][0], np.float32) @ query
        hits = [(ids[row], float(cosines[row])) for row in kept]
        return sorted(hits, key=lambda hit: -hit[1])[:limit]

    def cosines(self, query: Vector, ids: Sequence[int]) -> dict[int, float]:
        found = self._collection.get(ids=[str(id_) for id_ in ids if id_ in self._channels], include=["embeddings"])
        if not len(found["ids"]):
            return {}
        scores = np.asarray(found["embeddings"], np.float32) @ query
        return dict(zip(map(int, found["ids"]), scores.tolist(), strict=True))

    def __len__(self) -> int:
        return int(self._collection.count())

    def close(self) -> None:
        self._client.close()

    def _open(self) -> Any:
        # No embedding function: Chroma would download a model of its own.
        return self._client.get_or_create_collection(
            _COLLECTION, embedding_function=None, configuration={"hnsw": {"space": "ip", "ef_search": 200}}
        )
