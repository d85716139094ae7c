"""What the pages work with: one bot of this machine, its data folder and its settings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sususbot.analysis.analysis import Analysis
from sususbot.archive.archive import Archive
from sususbot.forgetting import Forgetting
from sususbot.memory.long_term import LongTerm
from sususbot.memory.short_term import ShortTerm
from sususbot.messages import Audience, Author
from sususbot.model.backend import Backend, Sampling
from sususbot.responder import Reply, Responder
from sususbot.settings import Settings


@dataclass(frozen=True, slots=True)
class Talk:
    """The bot as it answers: loaded when the first page needs it, since a model takes seconds and memory."""

    responder: Responder
    long_term: LongTerm
    short_term: ShortTerm
    backend: Backend
    sampling: Sampling
    close: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Scene:
    """A channel that the page Chat plays, as the demo does: the bot answers there from what its readers may see."""

    channel: str
    audience: Audience
    note: str
    """What stands above the talk."""
    questions: tuple[str, ...]
    """To be asked by one click."""
    beside: Callable[[Reply], str | None]
    """What stands under a reply, or nothing. Blocks."""


@dataclass(frozen=True, slots=True)
class Desk:
    """`env` is the settings file, where it may not exist yet. `wake` loads the bot, blocking: call it in a thread."""

    settings: Settings
    data: Path
    env: Path
    archive: Archive
    sampling: Sampling
    """How words are drawn unless it is said otherwise."""
    wake: Callable[[], Talk]
    forget: Callable[[Author], tuple[str, ...]]
    """Takes a member's words away everywhere; says in sentences what it did. Blocks."""
    forgetting: Forgetting
    """What takes words away: of one message, and of who says no to everything."""
    changed: Callable[[Sequence[int]], None]
    """Tells the bot, as far as it is awake, that these messages are gone, or may be remembered again. Blocks."""
    recollect: Callable[[], LongTerm]
    """The long-term memory as the bot searches, without its model: that of `wake` where it is awake. Blocks."""
    analyze: Callable[[Callable[[int, int], None]], Analysis]
    """What  sususbot analyze  says. Tells how many messages are done, and how many there are. Blocks."""
    scene: Scene | None = None
    """None: the owner's own talk, which may be answered from everything."""
