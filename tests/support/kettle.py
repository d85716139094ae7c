"""Exports for tests that only need some: the sample community's first 309 messages, three channels, half a year.

They are what the whole sample was built on (`tools/community`), byte for byte in it, and a seventh of its size. Tests
about the sample itself take `sususbot.sample`.
"""

from pathlib import Path
from typing import Final

_FIRST: Final = Path(__file__).parents[2] / "tools" / "community" / "src" / "first"


def small_exports() -> list[Path]:
    return [_FIRST / f"{channel}.json" for channel in ("gaming", "general", "projects")]
