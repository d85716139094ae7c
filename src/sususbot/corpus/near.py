"""Near-duplicates among conversations: pasted texts, floods, the same talk imported under other ids.

MinHash over runs of three words: 64 hashes a conversation, in 8 bands of 8; two that agree in a band are compared by
the share of equal hashes. Exact arithmetic on fixed coefficients: the same result in every process and machine. Short
talk is exempt, since greetings are alike by nature.
"""

import re
import zlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Signature = NDArray[np.uint32]

_HASHES: Final = 64
_BANDS: Final = 8
_WORDS: Final = 3
_LEAST: Final = 16
# The share of equal hashes from which two are one; an estimate of how much of both is the same.
_ALIKE: Final = 0.8
_PRIME: Final = np.uint64(4_294_967_311)
_COEFFICIENTS: Final = np.random.Generator(np.random.PCG64(20_240_601)).integers(1, 2**31, (2, _HASHES), np.uint64)
_WORD: Final = re.compile(r"\w+")


def signature(texts: Sequence[str]) -> Signature | None:
    """What is alike of texts that stand together; None where there is too little to tell."""
    words = _WORD.findall(" ".join(texts).casefold())
    if len(words) < _LEAST + _WORDS - 1:
        return None
    runs = {zlib.crc32(" ".join(words[at : at + _WORDS]).encode()) for at in range(len(words) - _WORDS + 1)}
    if len(runs) < _LEAST:
        return None
    hashes = np.fromiter(runs, np.uint64, len(runs))[:, None]
    least: NDArray[np.uint64] = ((hashes * _COEFFICIENTS[0] + _COEFFICIENTS[1]) % _PRIME).min(axis=0)
    return least.astype(np.uint32)


def repeats(signatures: Sequence[Signature | None]) -> set[int]:
    """The places of those that come again: of each group of near-duplicates all but the first."""
    places = [place for place, one in enumerate(signatures) if one is not None]
    if not places:
        return set()
    table = np.stack([one for one in signatures if one is not None])
    again: set[int] = set()
    for band in range(_BANDS):
        rows = _HASHES // _BANDS
        keys = np.ascontiguousarray(table[:, band * rows : (band + 1) * rows]).view(f"V{4 * rows}").ravel()
        _, groups = np.unique(keys, return_inverse=True)
        order = np.argsort(groups, kind="stable")
        edges = np.flatnonzero(np.diff(groups[order])) + 1
        for group in np.split(order, edges):
            if len(group) > 1:
                # Against the first of the group only: what is like it comes again.
                alike = (table[group[1:]] == table[group[0]]).mean(axis=1) >= _ALIKE
                again.update(places[row] for row in group[1:][alike].tolist())
    return again
