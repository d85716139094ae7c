"""How late the event loop is: what every reply, heartbeat and sign waits for whenever something else holds it up."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

logger = logging.getLogger(__name__)

_EVERY_SECONDS: Final = 0.1
# A heartbeat that is so late is not far from costing the connection.
_WORTH_TELLING: Final = 1.0


async def watch(observe: Callable[[float], object], *, every: float = _EVERY_SECONDS) -> None:
    """Tell `observe` again and again by how many seconds a sleep of `every` was too long; ends when cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every
        await asyncio.sleep(every)
        late = max(0.0, loop.time() - due)
        observe(late)
        if late >= _WORTH_TELLING:
            logger.warning("the event loop was held up for %.1f s: this machine is busy, or the bot has a fault", late)
