"""Talk in groups that a model can read at once, so that nothing is cut off at its limit."""

from collections.abc import Callable, Iterator, Sequence

from sususbot.errors import BackendFailed
from sususbot.memory.summarizer.summarizer import Said

# Tokens of some lines as they stand in the model's input.
Count = Callable[[Sequence[Said]], int]


def folded(said: Sequence[Said], count: Count, limit: int) -> list[list[Said]]:
    """The same talk in groups of at most `limit` tokens; a line that is too long alone is split between words."""
    groups: list[list[Said]] = []
    for one in _short_enough(said, count, limit):
        if groups and count([*groups[-1], one]) <= limit:
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def _short_enough(said: Sequence[Said], count: Count, limit: int) -> Iterator[Said]:
    for one in said:
        while (used := count([one])) > limit:
            # Aim by the ratio, a little short of it: tokens a character vary.
            head, rest = _split(one, max(1, len(one.text) * limit * 9 // (used * 10)))
            while count([head]) > limit:
                head, rest = _split(one, len(head.text) // 2)
            yield head
            one = rest
        yield one


def _split(one: Said, at: int) -> tuple[Said, Said]:
    """A line in two; the first has `at` characters at most."""
    if at < 1:
        raise BackendFailed("the model reads so little at once that not even a name fits: choose another")
    space = one.text.rfind(" ", 1, at + 1)
    border = space if space > 0 else at
    return Said(one.speaker, one.text[:border].rstrip()), Said(one.speaker, one.text[border:].lstrip())
