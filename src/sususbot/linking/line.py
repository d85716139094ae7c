"""What linking is told of a message (`Line`), and what it says of it (`Link`). Values only; ids and times in ms."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Line:
    """A message as linking sees it. `at` is in ms; names typed in the text are found without `mentions`."""

    id: int
    author_id: int
    name: str
    at: int
    text: str
    mentions: tuple[int, ...] = ()
    reply_to: int | None = None
    system: bool = False


class Link(NamedTuple):
    """`target` is the line that is answered, None where something begins; `score` is how likely that is, 0 to 1.

    `candidates` are the most likely earlier lines, best first, with their probabilities; what is missing to 1 says that
    the line begins something.
    """

    target: int | None
    score: float
    candidates: tuple[tuple[int, float], ...] = ()
