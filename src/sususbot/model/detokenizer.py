"""Token ids to text as they come, by the bytes that each stands for: nothing is lost by decoding it in parts.

A tokenizer's own decoder wants the whole: it takes the space off the first word, and of a run of bytes that is not all
characters it keeps none.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

_BYTE: Final = re.compile(r"<0x([0-9A-F]{2})>")
_SPACE: Final = "▁"


class Detokenizer:
    """One reply's. Bytes that make no character are left out."""

    def __init__(self, bytes_of: Callable[[int], bytes]) -> None:
        self._bytes_of = bytes_of
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")

    def feed(self, token: int) -> str:
        """What is told by now; a character of which a part is still to come is held back."""
        return self._decoder.decode(self._bytes_of(token))


def bytes_of_tokens(tokenizer: Any) -> Callable[[int], bytes]:
    """What each token of a tokenizer of transformers stands for; control tokens for nothing."""
    added = {
        id_: b"" if token.special else token.content.encode() for id_, token in tokenizer.added_tokens_decoder.items()
    }
    added |= dict.fromkeys(tokenizer.all_special_ids, b"")
    letters = dict(_byte_letters()) if "ByteLevel" in json.dumps(_decoder(tokenizer)) else None

    def bytes_of(token: int) -> bytes:
        if token in added:
            return added[token]
        # A model's output may be wider than its vocabulary.
        piece: str = tokenizer.convert_ids_to_tokens(token) or ""
        if letters is not None:
            return bytes(letters[letter] for letter in piece if letter in letters)
        byte = _BYTE.fullmatch(piece)
        return bytes([int(byte[1], 16)]) if byte else piece.replace(_SPACE, " ").encode()

    return bytes_of


def _decoder(tokenizer: Any) -> Any:
    return json.loads(tokenizer.backend_tokenizer.to_str())["decoder"]


def _byte_letters() -> Iterator[tuple[str, int]]:
    """The letters by which vocabularies of bytes (GPT-2's kind) write them: themselves where that can be seen."""
    unseen = 0
    for byte in range(256):
        if 0x21 <= byte <= 0x7E or 0xA1 <= byte <= 0xAC or byte >= 0xAE:
            yield chr(byte), byte
        else:
            yield chr(0x100 + unseen), byte
            unseen += 1
