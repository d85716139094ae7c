"""Where Discord's API is: the real one, unless a stand-in is named."""

from collections.abc import Iterator
from contextlib import contextmanager

_base = "https://discord.com/api/v10"


def base() -> str:
    """The address before every path."""
    return _base


@contextmanager
def api_at(http_url: str) -> Iterator[None]:
    """Within the block every new client calls on this address."""
    global _base
    before, _base = _base, http_url
    try:
        yield
    finally:
        _base = before
