"""Which embedder a server's memory uses: the encoder, or the static table distilled from it for a big history."""

from pathlib import Path
from typing import Final, Literal

from sususbot.memory.embedding import Embedder, MiniLM
from sususbot.memory.static import StaticEmbedder, is_static

Choice = Literal["auto", "minilm", "static"]
# Messages from which `auto` takes the static table: the encoder needs some five minutes for as many on two cores.
BIG: Final = 250_000


def make(choice: Choice, model: str, folder: Path, *, made_by: str | None, messages: int) -> Embedder:
    """The embedder of this choice; `folder` is where a table is kept.

    `auto` stays with what made the vectors that are there (`made_by`), so that a growing history is not embedded anew.
    """
    if choice == "auto":
        static = is_static(made_by) if made_by is not None else messages >= BIG
    else:
        static = choice == "static"
    return StaticEmbedder(model, folder / f"static-{Path(model).name}.npz") if static else MiniLM(model)
