"""Token counts where no tokenizer is at hand: on the safe side, so that a budget kept by it is kept."""

from typing import Final

# Llama-like tokenizers give 3.5 to 4.5 bytes a token for English chat; names, emoji and other scripts take more.
_BYTES_PER_TOKEN: Final = 3


def estimate_tokens(text: str) -> int:
    """At least one token for each three UTF-8 bytes."""
    return -(-len(text.encode()) // _BYTES_PER_TOKEN)
