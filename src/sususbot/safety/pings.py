"""What may go out: text that can ping nobody.

The Discord surface forbids pings on every send as well; here they do not even remain to be read.
"""

import re
from typing import Final

# Raw mentions that a model made up: members, roles, channels and commands by id.
_RAW_MENTION: Final = re.compile(r"<(?:@[!&]?|#|id:|/[\w -]+:)\d+>")
# Also with invisible characters between the sign and the word.
_MASS_PING: Final = re.compile(r"@[\u200b-\u200f\u2060\ufeff\s]*(everyone|here)\b", re.IGNORECASE)


def mention_safe(text: str) -> str:
    """The text without anything that Discord would turn into a ping."""
    # Again until nothing changes: taking one out may put another together (`@@everyone`, `<@<@1>2>`).
    while (safer := _MASS_PING.sub(r"\1", _RAW_MENTION.sub("", text))) != text:
        text = safer
    return text.strip()
