"""Members who change their mind, in one line each."""

from sususbot.archive.archive import Archive
from sususbot.messages import Author

_clock = iter(range(1, 1 << 30))


def refuse(archive: Archive, *authors: Author | int) -> None:
    """They say no to everything."""
    _say(archive, authors, yes=False)


def agree(archive: Archive, *authors: Author | int) -> None:
    """They say yes to everything."""
    _say(archive, authors, yes=True)


def _say(archive: Archive, authors: tuple[Author | int, ...], *, yes: bool) -> None:
    for author in authors:
        author_id = author if isinstance(author, int) else author.id
        archive.consents.say(author_id, by="member", way="asked", at=next(_clock), learn=yes, remember=yes, quote=yes)
