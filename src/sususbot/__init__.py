"""sususbot: a self-hosted Discord bot that talks like your own server and remembers it.

In: a server's own history. Out: replies in its voice, with its lore. `docs/architecture.md` is the map.
"""

import os

# Nothing here is compiled by torch. bitsandbytes has it prepared whenever it is loaded, which takes a second in each
# process that loads or trains a model, and would look for a C++ compiler that few machines have.
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")

try:
    from importlib.metadata import version

    __version__ = version("sususbot")
except ImportError:
    # Run from its source by a Python that it is not installed for, or that is too old to know what is installed.
    __version__ = "0"
