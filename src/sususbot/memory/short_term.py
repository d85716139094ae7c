"""What was just said: the last messages of a channel, verbatim.

Read from the archive each time (0.2 ms), so there is no second copy: an edit or deletion shows at once, and a crash
loses nothing. Members who opted out are left out, and so are other bots; the bot's own lines belong to the talk.
"""

from sususbot.archive.archive import Archive
from sususbot.messages import Author, Message, Turn


class ShortTerm:
    """The recent turns of each channel."""

    def __init__(self, archive: Archive, *, window: int, own_id: int | None = None) -> None:
        """`own_id` is the bot's account; None where it has none (terminal)."""
        self._archive = archive
        self._window = window
        self.own_id = own_id

    @property
    def own_account(self) -> Author | None:
        """The bot's account, once it said something."""
        return None if self.own_id is None else self._archive.author(self.own_id)

    def recent(self, channel_id: int, *, before: int | None = None) -> list[Turn]:
        """The last turns, oldest first; with `before`, those before that message."""
        messages = self._archive.window(channel_id, limit=self._window, before=before, own_id=self.own_id)
        return [turn(message, self.own_id) for message in messages]


def turn(message: Message, own_id: int | None = None) -> Turn:
    """A message as a turn of a conversation."""
    return Turn(
        speaker=message.author.display_name,
        text=message.rendered,
        at=message.created_at,
        own=message.author.id == own_id,
        message_id=message.id,
        author_id=message.author.id,
        account=message.author.name,
        reply_to=message.reply_to,
    )
