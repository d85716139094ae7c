"""What one archive leaves out, left out of another as well: of one that is made of export files beside it.

Exports keep what was erased since. Taken over are who is erased, what was deleted, and who said what about their words.
Not what silence means: that is said of one server, and the files may be of another.
"""

from sususbot.archive.archive import Archive


def leave_out(archive: Archive, like: Archive) -> None:
    """Whatever comes into `archive` from now on comes as it would come into the other; what it holds already goes.

    Safe to repeat.
    """
    erased = like.erasure.erased()
    forgotten = like.erasure.forgotten(erased)
    for author_id, at in erased.items():
        archive.erasure.begin(author_id, at=at, may_return=author_id not in forgotten)
        archive.erasure.carry_out(author_id)
    archive.consents.add(like.consents.statements())
    for times in like.erasure.deletions():
        archive.delete_each(times)
