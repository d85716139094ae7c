"""What holds for each member, and what it rests on: the consent table of the command line and of the page."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from sususbot.archive.archive import Archive
from sususbot.archive.consents import PURPOSES, Permissions, Purpose, Statement
from sususbot.messages import day

State = Literal["member", "refused", "forgotten"]


@dataclass(frozen=True, slots=True)
class Member:
    """An account that is no bot. Of the forgotten the name is gone; of the refused the words are, since `since` (ms).

    `said` has the statement that each answer rests on; None: they were silent about it.
    """

    id: int
    name: str
    holds: Permissions
    state: State
    since: int | None
    said: Mapping[Purpose, Statement | None]

    @property
    def last(self) -> Statement | None:
        """The newest statement that counts."""
        return max((one for one in self.said.values() if one is not None), key=lambda one: one.at, default=None)


def members(archive: Archive) -> list[Member]:
    """Everybody who wrote something or answered, by name; the nameless last."""
    authors = archive.authors()
    erased = archive.erasure.erased()
    forgotten = archive.erasure.forgotten(erased)
    decided = archive.consents.decided()
    rows = []
    for id_, holds in archive.consents.all_answers().items():
        author = authors.get(id_)
        if author is not None and author.is_bot:
            continue
        state: State = "forgotten" if id_ in forgotten else "refused" if id_ in erased else "member"
        name = author.display_name if author is not None and state != "forgotten" else ""
        said = {purpose: decided.get(id_, {}).get(purpose) for purpose in PURPOSES}
        rows.append(Member(id_, name, holds, state, erased.get(id_), said))
    return sorted(rows, key=lambda row: (row.name.casefold() or "\uffff", row.id))


def unheard(archive: Archive, statements: Iterable[Statement], called: Callable[[int], str]) -> list[str]:
    """Where what was said does not hold: somebody's own word stands before it, or they are forgotten."""
    statements = list(statements)
    decided = archive.consents.decided()
    forgotten = archive.erasure.forgotten(statement.author_id for statement in statements)
    notes = []
    for statement in statements:
        if statement.author_id in forgotten:
            notes.append(
                f"{statement.author_id} was forgotten on {day(forgotten[statement.author_id])} and stays so: "
                "only their own yes is heard (--by member)"
            )
            continue
        beaten: dict[str, list[str]] = {}
        for purpose in PURPOSES:
            said, holds = getattr(statement, purpose), decided.get(statement.author_id, {}).get(purpose)
            if said is not None and holds is not None and getattr(holds, purpose) != said:
                word = f"the {holds.by}'s {yes(getattr(holds, purpose))} of {day(holds.at)}"
                beaten.setdefault(f"{word} stands before this {yes(said)}", []).append(purpose)
        notes += [
            f"{called(statement.author_id)}: {sentence} ({', '.join(purposes)})"
            for sentence, purposes in beaten.items()
        ]
    return notes


def yes(answer: bool) -> str:
    return "yes" if answer else "no"
