"""Texts to vectors without a neural network at hand: a table of one vector a token, distilled from an encoder.

Each token of the encoder's vocabulary goes through it alone, once, in seconds; a text is the weighted mean of its
tokens' rows, frequent tokens counting little (the smooth inverse frequency of Arora et al. 2017; frequencies by Zipf's
law, as a vocabulary is written in their order). Some thirty times as fast as the encoder, and what it loses beside a
search by words is in `docs/benchmarks.md`. A table fitted to the members' own messages was worse, so there is nothing
of theirs in it. It is one file with its tokenizer: where it lies, neither torch nor the encoder is needed.
Not here: which of the two is used (`embedders`).
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from sususbot.archive.vectors import Matrix
from sususbot.errors import MissingExtra, ModelLoadFailed, ModelNotFound
from sususbot.in_place import put
from sususbot.memory.embedding import MiniLM, find_model, weights_digest

_MAX_TOKENS: Final = 254
_PREFIX: Final = "static-1-"
# How rare a token must be to count half; of a few values the best on the development half of LoCoMo.
_RARE: Final = 1e-3
# Tokens whose rows are in memory at once.
_ROWS: Final = 16384


class StaticEmbedder:
    """The table of `file`, which is made from the encoder `model` when it is not there or was made from another."""

    def __init__(self, model: str, file: Path) -> None:
        if importlib.util.find_spec("tokenizers") is None:
            raise MissingExtra("search by meaning", "embed")
        from tokenizers import Tokenizer

        _refresh(model, file)
        try:
            with file.open("rb") as opened, np.load(opened) as kept:
                self.name = str(kept["name"])
                self._rows: Matrix = kept["rows"].astype(np.float32)
                self._tokenizer: Any = Tokenizer.from_buffer(kept["tokenizer"].tobytes())
        except Exception as error:
            raise ModelLoadFailed(f"the table of vectors {file} cannot be loaded ({error}): remove it") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_MAX_TOKENS)
        self._unknown = [self._tokenizer.token_to_id("[UNK]") or 0]
        self.dimensions = int(self._rows.shape[1])

    def embed(self, texts: Sequence[str]) -> Matrix:
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        # A text of no token counts as one that nobody knows.
        tokens = [encoding.ids or self._unknown for encoding in encodings]
        sums = np.empty((len(tokens), self.dimensions), np.float32)
        for first, last in _pieces([len(ids) for ids in tokens]):
            starts = np.cumsum([0, *(len(ids) for ids in tokens[first : last - 1])])
            sums[first:last] = np.add.reduceat(self._rows[np.concatenate(tokens[first:last])], starts, axis=0)
        return _unit(sums)


def _refresh(model: str, file: Path) -> None:
    """Make the table where there is none of this encoder. Without the encoder, the one that is there is good."""
    try:
        name = static_name(model)
    except ModelNotFound:
        if not file.is_file():
            raise
        return
    if _name_in(file) != name:
        _distil(MiniLM(model), find_model(model) / "tokenizer.json", name, file)


def static_name(model: str) -> str:
    """The name of what is made from this encoder: tells its weights, and the number of this way to do it."""
    return f"{_PREFIX}{Path(model).name}:{weights_digest(find_model(model))}"


def is_static(name: str) -> bool:
    """Whether an embedder of this name is such a table."""
    return name.startswith(_PREFIX)


def _name_in(file: Path) -> str | None:
    try:
        with file.open("rb") as opened, np.load(opened) as kept:
            return str(kept["name"])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def _distil(encoder: MiniLM, tokenizer: Path, name: str, file: Path) -> None:
    from tokenizers import Tokenizer

    vocabulary = Tokenizer.from_file(str(tokenizer))
    vocabulary.no_padding()
    size = vocabulary.get_vocab_size()
    first, last = vocabulary.encode("").ids
    rows = encoder.encode([[first, token, last] for token in range(size)])
    rows *= _weights([vocabulary.id_to_token(token) or "" for token in range(size)])[:, None]
    file.parent.mkdir(parents=True, exist_ok=True)
    text = np.frombuffer(tokenizer.read_bytes(), np.uint8)
    # A name of its own: another command may be making it, too.
    with NamedTemporaryFile(dir=file.parent, prefix=file.stem, suffix=".unfinished", delete=False) as out:
        np.savez(out, name=np.array(name), rows=rows.astype(np.float16), tokenizer=text)
    put(Path(out.name), file)


def _weights(tokens: Sequence[str]) -> npt.NDArray[np.float32]:
    """Smooth inverse frequencies. What comes before the first word (signs, letters) is as frequent as that word."""
    words = (place for place, token in enumerate(tokens) if len(token) > 1 and token.isascii() and token.isalpha())
    rank = np.maximum(np.arange(len(tokens)) - next(words, 0), 0)
    frequencies = 1 / (rank + 2.7)
    frequencies /= frequencies[rank > 0].sum()
    return np.asarray(_RARE / (_RARE + frequencies), np.float32)


def _pieces(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Texts cut into runs of bounded token count."""
    edges, held = [0], 0
    for place, length in enumerate(lengths):
        if held and held + length > _ROWS:
            edges.append(place)
            held = 0
        held += length
    return list(zip(edges, [*edges[1:], len(lengths)], strict=True)) if lengths else []


def _unit(rows: Matrix) -> Matrix:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Matrix = rows / np.maximum(norms, np.finfo(np.float32).tiny)
    return unit
