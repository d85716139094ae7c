"""Samples to documents: token ids, and for each the weight of its loss.

A document is a whole sample as one text, tokenised at once, as serving tokenises a prompt; a token belongs to the piece
of text (`chat_format.weighted`) that its first character is in. It begins with the tokenizer's own beginning mark and,
where the conversation is over, ends with its end mark, so that a model learns to fall silent.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from sususbot.corpus.samples import Sample
from sususbot.errors import BaseUnfit

_AT_ONCE: Final = 256
# A member who writes </s> says four letters and signs, not that a conversation is over.
_AS_TEXT: Final[dict[str, Any]] = {"add_special_tokens": False, "split_special_tokens": True, "verbose": False}


@dataclass(frozen=True, slots=True)
class Document:
    """`weights[i]` is what predicting token i from those before it counts; that of the first is 0.

    `learned_bytes` is the sum over the text of weight times UTF-8 bytes: what bits per byte are counted over.
    `at` is the time (ms) of its last message.
    """

    id: str
    ids: NDArray[np.int32]
    weights: NDArray[np.float32]
    learned_bytes: float
    at: int

    def __len__(self) -> int:
        return len(self.ids)

    def cut(self, length: int) -> "Document":
        """Its beginning, where it is longer; what is left of its learned bytes is by its weights."""
        if len(self) <= length:
            return self
        weights = self.weights[:length]
        left = float(weights.sum()) / max(float(self.weights.sum()), 1e-9)
        return Document(self.id, self.ids[:length], weights, self.learned_bytes * left, self.at)


def documents(samples: Iterable[Sample], persona: str, tokenizer: PreTrainedTokenizerBase) -> list[Document]:
    """Every sample as a document, in their order. Raises BaseUnfit where a tokenizer does not tell what is where."""
    made: list[Document] = []
    left = iter(samples)
    while some := list(islice(left, _AT_ONCE)):
        made += _documents(some, persona, tokenizer)
    return made


def text_of(sample: Sample, persona: str) -> str:
    """A sample as a tokenizer reads it."""
    # Halves of surrogate pairs are no text to a tokenizer.
    return "".join(text for text, _ in sample.pieces(persona)).encode(errors="replace").decode()


def plain(texts: Iterable[str], tokenizer: PreTrainedTokenizerBase) -> list[Document]:
    """Any texts, every token of them learned alike: how a base is made before anybody adapts it."""
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    made = []
    for place, text in enumerate(texts):
        ids = [*_mark(begin), *tokenizer(text, **_AS_TEXT)["input_ids"], *_mark(end)]
        weights = np.ones(len(ids), np.float32)
        weights[0] = 0.0
        made.append(Document(str(place), np.array(ids, np.int32), weights, float(len(text.encode())), 0))
    return made


def _documents(samples: Sequence[Sample], persona: str, tokenizer: PreTrainedTokenizerBase) -> Iterator[Document]:
    texts = [text_of(sample, persona) for sample in samples]
    if not tokenizer.is_fast:
        raise BaseUnfit("the base's tokenizer cannot tell where its tokens are: use a base with a tokenizer.json")
    encoded = tokenizer(texts, return_offsets_mapping=True, **_AS_TEXT)
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    for sample, ids, offsets in zip(samples, encoded["input_ids"], encoded["offset_mapping"], strict=True):
        piece = sample.pieces(persona)
        borders = np.array([0, *accumulate(len(text) for text, _ in piece)])
        weight_of = np.array([weight for _, weight in piece] + [piece[-1][1]], np.float32)
        starts = np.array([start for start, _ in offsets], np.int64)
        weights = weight_of[np.searchsorted(borders, starts, side="right") - 1]
        opening, closing = _mark(begin), _mark(end if sample.ends else None)
        whole = np.array([*opening, *ids, *closing], np.int32)
        learned = np.concatenate([np.zeros(len(opening)), weights, np.full(len(closing), piece[-1][1])])
        learned[0] = 0.0
        size = sum(weight * len(text.encode(errors="replace")) for text, weight in piece)
        yield Document(sample.id, whole, learned.astype(np.float32), size, max(turn.at for turn in sample.turns))


def _mark(token: int | None) -> list[int]:
    return [] if token is None else [token]
