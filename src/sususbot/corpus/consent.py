"""Whose words are learned: the archive's consents decide, nothing here does.

A member who does not agree is left out altogether, and not only kept from the loss: the words are in no sample, not
even to be read. Where they stood, the conversation is cut, so that nobody is made to answer what somebody else said.
The name goes, too: a mention of such a member is one of `someone` (`clean.People`).
"""

from collections.abc import Container, Iterable, Iterator
from typing import Final

from sususbot.archive.archive import Archive
from sususbot.corpus.clean import Cleaned, Verdict
from sususbot.errors import SettingsError

CONSENT: Final = "consent"


def consented(cleaned: Iterable[Cleaned], learnable: Container[int]) -> Iterator[Cleaned]:
    """The same stream with the words of these authors only."""
    for one in cleaned:
        if one.verdict is Verdict.VANISHED or one.message.author.id in learnable:
            yield one
        else:
            yield Cleaned(one.message, (), (CONSENT,), Verdict.CUT)


def persona(archive: Archive, setting: str) -> frozenset[int] | None:
    """Whom the bot may play: None for everybody in turn, else the members named. Raises SettingsError.

    To be imitated takes more than silence: each of them must have said yes.
    """
    if setting == "server":
        return None
    ids = frozenset(map(int, setting.replace(",", " ").split()))
    agreed = {one.author_id for one in archive.consents.statements() if one.learn}
    missing = sorted(ids - (agreed & archive.consents.may_learn(ids)))
    if missing:
        raise SettingsError(
            f"PERSONA: {missing[0]} has not agreed to be learned from: ask, write it down with  "
            f"sususbot consent set {missing[0]} --learn yes, or use PERSONA=server"
        )
    return ids
