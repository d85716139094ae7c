"""What a long pass over messages, in or out, does with the interpreter's collector: it rests.

Only around code that makes no cycles: what does is not collected meanwhile.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Messages make no reference cycles, but each batch of them would have the collector look at all again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
