"""What a system says to each exchange: made once, by the sampling that it talks with, and read by several measures."""

from collections.abc import Sequence
from dataclasses import dataclass

from sususbot.evaluation.ground import Exchange
from sususbot.memory.context import Context
from sususbot.model.backend import Usage


@dataclass(frozen=True, slots=True)
class Said:
    """A reply as it would be sent, empty where nothing came; times in seconds, `first` until its first token."""

    exchange: Exchange
    context: Context
    text: str
    usage: Usage
    seconds: float
    first: float


Replies = Sequence[Said]
