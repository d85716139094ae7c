"""The model that talks, asked to say in short what was said.

It is there already, so this takes no memory; but it evicts the prompt that the engine keeps for a channel, so the reply
after it is read anew from the start. Base models follow no instructions, so the prompt shows two examples.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from sususbot.errors import BackendFailed, Busy
from sususbot.memory.summarizer.checked import checked
from sususbot.memory.summarizer.folds import folded
from sususbot.memory.summarizer.summarizer import MOST_LINES, Said, TooLate
from sususbot.model.backend import Chunk, Deadline, Request, Sampling

# As `Backend.generate` and `Inference.aside` have it.
Generate = Callable[[Request, Deadline], Iterator[Chunk]]

_HEAD: Final = """Chats, and what was said in them in one short sentence.

Quillan: the ferry was late again, third time this week
Ottoline: take the bus then, it leaves at nine
In short: Quillan's ferry was late again, and Ottoline advised the bus at nine.

Zebedee: who has my ladder
Ottoline: in the shed, sorry
In short: Zebedee looked for the ladder; Ottoline had left it in the shed.

"""
_ASK: Final = "In short:"
_TOKENS: Final = 60
# What the prompt may take where the model has no limit of its own.
_ROOM: Final = 2048


class Chat:
    """Summaries by a backend, called from one thread at a time: the caller's own, or one that waits its turn."""

    name: Final = "chat"

    def __init__(
        self, generate: Generate, count_tokens: Callable[[str], int], *, context_tokens: int | None = None
    ) -> None:
        self._generate = generate
        self._count_tokens = count_tokens
        self._limit = min(context_tokens or _ROOM, _ROOM) - _TOKENS

    def load(self) -> None:
        """The backend is loaded already."""

    def summarize(self, said: Sequence[Said], deadline: Deadline) -> str:
        groups = folded(said, lambda lines: self._count_tokens(_prompt(lines)), self._limit)
        if len(groups) > MOST_LINES:
            raise BackendFailed(f"the talk is too long for it: {len(groups)} pieces")
        return "\n".join(checked(self._said_in_short(group, deadline), group) for group in groups)

    def close(self) -> None:
        """The backend is its owner's to close."""

    def _said_in_short(self, said: Sequence[Said], deadline: Deadline) -> str:
        request = Request(_prompt(said), (), ("\n",), Sampling(temperature=0.0, max_new_tokens=_TOKENS, seed=0))
        text, finish = "", None
        try:
            for chunk in self._generate(request, deadline):
                text, finish = text + chunk.text, chunk.finish
        except Busy as error:
            raise TooLate(str(error)) from error
        if finish in ("cancelled", "deadline"):
            raise TooLate("the model had no time left for it")
        return text


def _prompt(said: Sequence[Said]) -> str:
    return _HEAD + "".join(f"{one.line}\n" for one in said) + _ASK
