"""Giving every message that may be remembered its link: resumable, since what is pending is a query, not a state.

Channel by channel in the order of time. What was linked before is told to the linker as it is, so that going on after
a stop, or with what is new, reads a stretch of each channel again and not the whole of it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from sususbot.archive.archive import Archive
from sususbot.archive.links import Found, Said
from sususbot.linking.line import Line
from sususbot.linking.linker import Linker
from sususbot.linking.network import Network

# Messages to a transaction.
_BATCH: Final = 2048
# How much of a channel is read again before going on in it.
_LEAD: Final = 300


def link_pending(
    archive: Archive, network: Network, name: str, progress: Callable[[int, int], None] = lambda _done, _all: None
) -> int:
    """Link what is pending by this network, whose name tells it from others; give how many messages that were."""
    archive.links.use_linker(name)
    everything = archive.links.count_pending()
    going = LivePass(archive, network)
    done = 0
    while waiting := archive.links.pending(_BATCH):
        kept = going.link(waiting)
        if not kept:
            break
        done += kept
        progress(done, everything)
    return done


class LivePass:
    """Keeps a linker of the last channel it went through, so that message after message costs one step each."""

    def __init__(self, archive: Archive, network: Network) -> None:
        self._archive = archive
        self._network = network
        self._linker = Linker(network)
        self._at: tuple[int, int] = (0, 0)

    def link_new(self, ids: Sequence[int]) -> int:
        """Link these messages, of those that wait; gives how many."""
        return self.link(self._archive.links.pending(len(ids), ids)) if ids else 0

    def link(self, waiting: Sequence[Said]) -> int:
        """Link messages that come channel by channel in their order, and keep the links; gives how many."""
        return self._archive.links.put(list(self._found(waiting)))

    def _found(self, waiting: Sequence[Said]) -> Iterator[Found]:
        for said in waiting:
            self._come_to(said)
            link = self._linker.link(line_of(said))
            self._at = (said.channel_id, said.id)
            yield Found(said.id, said.text, link.target, link.score)

    def _come_to(self, said: Said) -> None:
        """Tell the linker what stands before this message and was not told yet."""
        channel_id, last = self._at
        here = channel_id == said.channel_id and last < said.id
        between = self._archive.links.before(said.channel_id, said.id, _LEAD, after=last if here else 0)
        if not here or len(between) == _LEAD:
            self._linker = Linker(self._network)
        for one in between:
            self._linker.tell(line_of(one), one.answers if one.linked else one.reply_to)


def line_of(said: Said) -> Line:
    """A message of the archive as linking reads it."""
    return Line(said.id, said.author_id, said.speaker, said.at, said.text, said.mentions, said.reply_to)
