"""Lines to links, one after the other; and how much each line of a window matters to a new one.

Lines must come in the order in which they were said: what is remembered of a channel goes on from the last.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from sususbot.linking.channel import THREAD, WINDOW, Channel, Numbers
from sususbot.linking.features import features
from sususbot.linking.line import Line, Link
from sususbot.linking.network import Network, shipped

_CANDIDATES: Final = 16
# What a line gets of the likelihood that another line of its thread is answered.
_KIN: Final = 0.1


class Linker:
    """Links the lines of one channel, told in their order. Replies that Discord knows are links as they are."""

    def __init__(self, network: Network | None = None) -> None:
        self._network = network or shipped()
        self._channel = Channel(self._network.common)
        self._ids: deque[int] = deque(maxlen=WINDOW)

    def link(self, line: Line) -> Link:
        """What this line answers."""
        if line.system:
            return Link(None, 1.0)
        if line.reply_to is not None:
            self.tell(line, line.reply_to)
            return Link(line.reply_to, 1.0, ((line.reply_to, 1.0),))
        heard = self._channel.hear(line)
        shares = softmax(self._network.scores(features(self._channel, heard)))
        best = int(shares.argmax())
        answers = best if best < len(self._ids) else None
        order = np.argsort(-shares[:-1], kind="stable")[:_CANDIDATES].tolist()
        candidates = tuple((self._ids[place], float(shares[place])) for place in order)
        target = self._ids[answers] if answers is not None else None
        self._channel.add(heard, None if answers is None else self._channel.position - len(self._ids) + answers)
        self._ids.append(line.id)
        return Link(target, float(shares[best]), candidates)

    def tell(self, line: Line, answers: int | None) -> None:
        """Remember a line whose link is known: the id of what it answers, or None where it begins something."""
        if not line.system:
            self._channel.add(self._channel.hear(line), self._position(answers))
            self._ids.append(line.id)

    def weigh(self, line: Line) -> tuple[Link, dict[int, float]]:
        """What this line answers, and how much each line of the window matters to it, 0 to 1.

        That is how likely it is what is answered; a line of the same thread as a likely one matters, too.
        """
        numbers = self._channel.window()[THREAD].astype(np.int64).tolist()
        thread_of = dict(zip(self._ids, numbers, strict=True))
        link = self.link(line)
        weights: dict[int, float] = {}
        of_thread: dict[int, float] = {}
        for id_, share in link.candidates:
            if id_ in thread_of:
                weights[id_] = share
                of_thread[thread_of[id_]] = max(of_thread.get(thread_of[id_], 0.0), share)
        for id_, thread in thread_of.items():
            weights[id_] = max(weights.get(id_, 0.0), _KIN * of_thread.get(thread, 0.0))
        return link, weights

    def _position(self, id_: int | None) -> int | None:
        if id_ is None or id_ not in self._ids:
            return None
        return self._channel.position - len(self._ids) + self._ids.index(id_)


def relevance(
    lines: Sequence[Line], asked: Line, network: Network | None = None, links: Mapping[int, int | None] | None = None
) -> list[float]:
    """How much each line of a window (oldest first) matters to the line asked, 0 to 1: see `Linker.weigh`.

    `links` are those known already, such as the archive's: line -> what it answers. They save most of the work.
    """
    linker = Linker(network)
    for line in lines:
        if links is not None and line.id in links:
            linker.tell(line, links[line.id])
        else:
            linker.link(line)
    _, weights = linker.weigh(asked)
    return [weights.get(line.id, 0.0) for line in lines]


def softmax(scores: Numbers) -> Numbers:
    raised = np.exp(scores - scores.max())
    shares: Numbers = raised / raised.sum()
    return shares
