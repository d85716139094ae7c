"""Token counts where no tokenizer is at hand: on the safe side, so that a budget kept by it is kept."""

import logging
from collections.abc import Sequence
from typing import Final

from sususbot.errors import ModelError
from sususbot.model.backend import Backend

logger = logging.getLogger(__name__)

# Llama-like tokenizers give 3.5 to 4.5 bytes a token for English chat; names, emoji and other scripts take more.
_BYTES_PER_TOKEN: Final = 3


def estimate_tokens(text: str) -> int:
    """At least one token for each three UTF-8 bytes."""
    return -(-len(text.encode(errors="replace")) // _BYTES_PER_TOKEN)


class SafeCount:
    """A backend's own counting, or the estimate while its engine does not answer: a prompt is still to be made."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def count_tokens(self, text: str) -> int:
        try:
            return self._backend.count_tokens(text)
        except ModelError:
            return estimate_tokens(text)

    def count_ahead(self, texts: Sequence[str]) -> None:
        try:
            self._backend.count_ahead(texts)
        except ModelError as error:
            logger.warning("tokens are estimated: %s", error)
