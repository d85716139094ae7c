"""When two names look alike to a reader, whatever letters they are made of: `susu`, `ѕuѕu`, `ＳＵＳＵ`, `su\u200dsu`.

Not here: what somebody is called who would look like another (`chat_format`).
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final

# Marks on letters, and what takes no room or is a blank that passes for a letter.
UNSEEN: Final = re.compile(
    r"[\u00ad\u0300-\u036f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u1ab0-\u1aff\u1dc0-\u1dff\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u20d0-\u20ff\u2800\u3164\ufe00-\ufe0f\ufe20-\ufe2f\ufeff\uffa0\U000e0000-\U000e0fff]+"
)
# Letters of other alphabets, after folding, that are drawn as a Latin one; and what is drawn as a letter.
DRAWN_ALIKE: Final = str.maketrans(
    "авекмнорстухѕіјһԁԛԝьчґԍѵѡαβγεζηικνορςτυχωοսցզհոքƒɑɡɩıłøđðþꞌℓꜱᴀʙᴄᴅᴇғɢʜɪᴊᴋʟᴍɴᴏᴘʀᴛᴜᴠᴡʏᴢꜰəɛɔ"
    "🅰🅱🅲🅳🅴🅵🅶🅷🅸🅹🅺🅻🅼🅽🅾🅿🆀🆁🆂🆃🆄🆅🆆🆇🆈🆉🇦🇧🇨🇩🇪🇫🇬🇭🇮🇯🇰🇱🇲🇳🇴🇵🇶🇷🇸🇹🇺🇻🇼🇽🇾🇿" + "015|l",
    "abekmhopctyxsijhdqwb4rgvwabyeznikvopctuxwougqhnpfagiiioddpiisabcdefghijkimnoprtuvwyzfeeo"
    "abcdefghijkimnopqrstuvwxyzabcdefghijkimnopqrstuvwxyz" + "oisii",
)


@lru_cache(1024)
def skeleton(name: str) -> str:
    """What is left of a name once it does not matter what it is drawn with: equal for names that look alike."""
    plain = UNSEEN.sub("", unicodedata.normalize("NFKD", name))
    return " ".join(plain.casefold().translate(DRAWN_ALIKE).split())
