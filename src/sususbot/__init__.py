"""sususbot: a self-hosted Discord bot that talks like your own server and remembers it.

In: a server's own history. Out: replies in its voice, with its lore. `docs/architecture.md` is the map.
"""

import os
from typing import TYPE_CHECKING

# Nothing here is compiled by torch. bitsandbytes has it prepared whenever it is loaded, which takes a second in each
# process that loads or trains a model, and would look for a C++ compiler that few machines have.
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")

if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> str:
        """The version, looked up when it is asked for: that takes longer than all else by which a process begins."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            from importlib.metadata import version

            found = version("sususbot")
        except ImportError:
            # Run from its source by a Python that it is not installed for, or that is too old to know what is.
            found = "0"
        return globals().setdefault(name, found)
