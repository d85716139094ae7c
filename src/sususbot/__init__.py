"""sususbot: a self-hosted Discord bot that talks like your own server and remembers it.

In: a server's own history. Out: replies in its voice, with its lore. `docs/architecture.md` is the map.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("sususbot")
except PackageNotFoundError:
    # Run from its source by a Python that it is not installed for.
    __version__ = "0"
