"""What may go out: text that can ping nobody.

The Discord surface forbids pings on every send as well; here they do not even remain to be read.
"""

import re
from typing import Final

# Letters that are not seen, which a server may drop: with them gone a ping would be one.
_UNSEEN: Final = (
    r"[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]*"
)
# Raw mentions that a model made up: members, roles, channels and commands by id.
_RAW_MENTION: Final = re.compile(rf"<{_UNSEEN}(?:@{_UNSEEN}[!&]?|#|id:|/[\w -]+:){_UNSEEN}(?:\d{_UNSEEN})+>")
_EVERYONE: Final = "|".join(_UNSEEN.join(word) for word in ("everyone", "here"))
# Also with blanks and invisible characters between the sign and the word.
_MASS_PING: Final = re.compile(rf"@[\s{_UNSEEN[1:]}({_EVERYONE})\b", re.IGNORECASE)


def mention_safe(text: str) -> str:
    """The text without anything that Discord would turn into a ping."""
    # Again until nothing changes: taking one out may put another together (`@@everyone`, `<@<@1>2>`).
    while (safer := _MASS_PING.sub(r"\1", _RAW_MENTION.sub("", text))) != text:
        text = safer
    return text.strip()
