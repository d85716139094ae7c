"""May this be trained on? Asked before the first step of every training.

Discord's Developer Policy (effective 2024-07-08), rule 21: "Do not use message content obtained through the APIs to
train machine learning or AI models (including large language models) unless express permission is granted by Discord."
An exporter reads through the same API, so its files count too; a member's own data package, which Discord itself hands
out, does not. Nothing here can grant the permission: the owner says in the settings that Discord did.
"""

from collections.abc import Mapping
from typing import Final

from sususbot.archive.consents import Consents
from sususbot.errors import TrainingNotPermitted

# Origins that are not Discord's API. Whatever else there is, or will be, counts as if it were.
NOT_FROM_API: Final = frozenset({"package"})


def from_api(origins: Mapping[str, int]) -> int:
    """How many of these messages (origin -> count) were got through Discord's API, by whatever program."""
    return sum(count for origin, count in origins.items() if origin not in NOT_FROM_API)


def objection(origins: Mapping[str, int], *, confirmed: bool) -> str | None:
    """Why a corpus of these origins must not be trained on yet, in one sentence; None where nothing is in the way."""
    count = from_api(origins)
    if confirmed or not count:
        return None
    return (
        f"{count:,} messages of this corpus came through Discord's API (exports do, too), and rule 21 of Discord's "
        "Developer Policy (2024-07-08) forbids training on them without Discord's express permission: if Discord gave "
        "it to you, set TRAINING_PERMISSION_CONFIRMED=true; else use the bot without training (BACKEND=recall), or "
        "train on members' own data packages"
    )


def check(origins: Mapping[str, int], *, confirmed: bool) -> None:
    """Raises TrainingNotPermitted where rule 21 is in the way."""
    if (sentence := objection(origins, confirmed=confirmed)) is not None:
        raise TrainingNotPermitted(sentence)


def check_authors(authors: Mapping[int, float], consents: Consents) -> None:
    """Raises TrainingNotPermitted where a corpus holds words of members who said no since it was built."""
    gone = authors.keys() - consents.may_learn(authors)
    if gone:
        raise TrainingNotPermitted(
            f"{len(gone)} of the {len(authors)} members in this corpus may not be learned from any more: "
            "run  sususbot build  again"
        )
