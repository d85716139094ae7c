"""What each recent turn matters to a message: how likely it is what the message answers, or of the same thread."""

from collections.abc import Callable, Sequence

from sususbot.linking.line import Line
from sususbot.linking.linker import relevance
from sususbot.linking.network import Network
from sususbot.memory.transcript import Who, who
from sususbot.messages import Turn


def by_links(network: Network | None = None) -> Callable[[Sequence[Turn], Turn], list[float]]:
    """A `Relevance` by the linker; `network` None takes the one that is shipped."""

    def weighed(turns: Sequence[Turn], asked: Turn) -> list[float]:
        *before, last = _lines([*turns, asked])
        return relevance(before, last, network)

    return weighed


def _lines(turns: Sequence[Turn]) -> list[Line]:
    """Turns as linking sees them. Numbered by place: what is on no server has no id."""
    places: dict[int | None, int | None] = {turn.message_id: place for place, turn in enumerate(turns)}
    places[None] = None
    numbers: dict[Who, int] = {}
    for turn in turns:
        numbers.setdefault(who(turn), len(numbers))
    return [
        Line(place, numbers[who(turn)], turn.speaker, turn.at, turn.text, reply_to=places.get(turn.reply_to))
        for place, turn in enumerate(turns)
    ]
