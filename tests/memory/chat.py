"""What the tests of memory say and how they find it: a chat written into an archive, and an embedder of words.

`WordEmbedder` is no mock of MiniLM but a small embedder of its own: texts are alike by the words they share.
"""

import zlib
from collections.abc import Sequence

import numpy as np

from sususbot.archive.archive import Archive
from sususbot.archive.vectors import Matrix
from sususbot.messages import REPLY_TYPE, Author, Channel, Guild, Message, Reaction

GUILD = Guild(1, "home")
BEGIN = 1_700_000_000_000
MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR

MIA = Author(11, "mia", "mia")
TOM = Author(12, "tom", "tom")
EVE = Author(13, "eve", "eve")
ROBOT = Author(99, "dice", "dice", is_bot=True)


class Chat:
    """Says things one after the other; ids and times go up."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.now = BEGIN
        self._source = archive.add_source("export", "test")
        self._next_id = 1000

    def say(
        self,
        author: Author,
        text: str,
        *,
        channel: int = 1,
        after: float = 30.0,
        reply_to: Message | None = None,
        reactions: int = 0,
        pinned: bool = False,
    ) -> Message:
        """A message, `after` so many seconds."""
        self.now += round(after * 1000)
        self._next_id += 1
        message = Message(
            id=self._next_id,
            channel_id=channel,
            author=author,
            created_at=self.now,
            content=text,
            rendered=text,
            type=REPLY_TYPE if reply_to else 0,
            reply_to=reply_to.id if reply_to else None,
            pinned=pinned,
            reactions=(Reaction("👍", reactions),) if reactions else (),
        )
        self.archive.add_channel(GUILD, Channel(channel, GUILD.id, f"channel-{channel}"), origin="export", seen_at=1)
        self._add(message)
        return message

    def begin_at(self, id_: int) -> None:
        """Go on with higher ids and later times, where another chat wrote before."""
        self._next_id = id_
        self.now += id_ * 1000

    def edit(self, message: Message, text: str) -> None:
        self.now += 1000
        self._add(
            Message(message.id, message.channel_id, message.author, message.created_at, text, text, edited_at=self.now)
        )

    def delete(self, message: Message) -> None:
        self.archive.delete([message.id], at=self.now)

    def _add(self, message: Message) -> None:
        self.archive.add([message], source=self._source, fetched_at=self.now)


class WordEmbedder:
    """A vector with one dimension lit for each word, by its checksum."""

    def __init__(self, name: str = "words", dimensions: int = 64) -> None:
        self.name = name
        self.dimensions = dimensions
        self.embedded: list[str] = []

    def embed(self, texts: Sequence[str]) -> Matrix:
        self.embedded += texts
        matrix = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                matrix[row, zlib.crc32(word.strip(":?!.,").encode()) % self.dimensions] += 1
        norms = np.linalg.norm(matrix, axis=1, keepdims=True)
        unit: Matrix = matrix / np.maximum(norms, 1e-9)
        return unit


def clusters(count: int, dimensions: int, *, seed: int = 0) -> Matrix:
    """Unit vectors in smooth clusters, as those of real texts are: uniformly random ones mislead graph indexes."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((20, dimensions))
    matrix = centres[random.integers(0, 20, count)] + 0.6 * random.standard_normal((count, dimensions))
    unit: Matrix = (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)
    return unit
