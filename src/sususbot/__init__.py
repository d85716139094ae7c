"""sususbot: a self-hosted Discord bot that talks like your own server and remembers it.

In: a server's own history. Out: replies in its voice, with its lore. `docs/architecture.md` is the map.
"""

from importlib.metadata import version

__version__ = version("sususbot")
