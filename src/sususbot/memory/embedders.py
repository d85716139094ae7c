"""Which embedder a server's memory uses: the encoder, or for who asks for it the static table distilled from it."""

from pathlib import Path
from typing import Literal

from sususbot.memory.embedding import Embedder, MiniLM
from sususbot.memory.static import StaticEmbedder, is_static

Choice = Literal["auto", "minilm", "static"]


def make(choice: Choice, model: str, folder: Path, *, made_by: str | None) -> Embedder:
    """The embedder of this choice; `folder` is where a table is kept.

    `auto` stays with what made the vectors that are there (`made_by`), and is the encoder where there are none: the
    table finds four of a hundred answers fewer (docs/benchmarks.md), which is too many to choose it unasked.
    """
    static = choice == "static" or (choice == "auto" and made_by is not None and is_static(made_by))
    return StaticEmbedder(model, folder / f"static-{Path(model).name}.npz") if static else MiniLM(model)
