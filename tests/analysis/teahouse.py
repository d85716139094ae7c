"""A small community that has one of everything an analysis counts, with names that try to break a page."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sususbot.archive.archive import Archive
from sususbot.messages import (
    DISCORD_EPOCH_MS,
    REPLY_TYPE,
    Attachment,
    Author,
    Channel,
    Guild,
    Message,
    Reaction,
)  # fmt: skip

GUILD: Final = Guild(10, "Tea <i>house</i>")
KITCHEN: Final = Channel(20, GUILD.id, "kitchen")
GARDEN: Final = Channel(21, GUILD.id, "<b>garden</b>")
MIA: Final = Author(1, "mia", "Mia")
TOM: Final = Author(2, "tom", "Tom")
SCRIPT: Final = Author(3, "script", '<script>alert("x")</script>')
DOLLAR: Final = Author(4, "dollar", "$x_1$ & 'co'")
# Refused everything; quotes nothing; is not learned from; turns the page around.
ZED: Final = Author(5, "zedaccount", "Zed Zorro")
KIM: Final = Author(6, "kim", "Kim")
NUR: Final = Author(7, "nur", "Nur")
TURNED: Final = Author(11, "turned", "\u202egnp.exe\x1b[31m\u0007")
SUSU: Final = Author(8, "sususbot", "Susu", is_bot=True)

# A Friday; the clocks of Berlin go forward on Sunday the 31st at one o'clock UTC.
START: Final = round(datetime(2024, 3, 29, 18, 30, tzinfo=UTC).timestamp() * 1000)
MINUTE: Final = 60_000
DAY: Final = 1440

_TEA: Final = "the teapot leaks again and somebody should mend the teapot before supper"
_PLANTS: Final = "tomatoes want water and the beans climb over every fence we have"
_GERMAN: Final = "heute Abend gibt es wieder Kuchen und wir haben keine Milch mehr im Haus"
_SECRET: Final = "my password is hunter2hunter2 and mail goes to mia.example@example.org"


class Teahouse:
    """Builds the messages one after another."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def say(
        self,
        minute: float,
        author: Author,
        text: str,
        *,
        channel: Channel = KITCHEN,
        reply_to: Message | None = None,
        mentions: tuple[Author, ...] = (),
        reactions: tuple[tuple[str, int], ...] = (),
        type_: int = 0,
        files: int = 0,
        edited: bool = False,
        pinned: bool = False,
    ) -> Message:
        at = START + round(minute * MINUTE)
        id_ = ((at - DISCORD_EPOCH_MS) << 22) + len(self.messages)
        message = Message(
            id=id_,
            channel_id=channel.id,
            author=author,
            created_at=at,
            content=text,
            rendered=text,
            type=REPLY_TYPE if reply_to is not None else type_,
            edited_at=at + MINUTE if edited else None,
            reply_to=reply_to.id if reply_to is not None else None,
            pinned=pinned,
            mentions=tuple(other.id for other in mentions),
            reactions=tuple(Reaction(*pair) for pair in reactions),
            attachments=tuple(Attachment(number, "a.png", 10, "https://cdn.example/a.png") for number in range(files)),
        )
        self.messages.append(message)
        return message


def messages() -> list[Message]:
    """Everything that was said."""
    house = Teahouse()
    _talk(house)
    _oddities(house)
    return house.messages


def _talk(house: Teahouse) -> None:
    """A month of evenings, in two channels at once."""
    for evening in range(30):
        at = evening * DAY
        first = house.say(at, MIA, f"{_TEA}, evening {evening}", reactions=(("🫖", evening % 3 + 1),))
        house.say(at + 1, TOM, f"{_PLANTS} says number {evening}", channel=GARDEN)
        answer = house.say(at + 2, TOM, f"which teapot do you mean, number {evening} of them?", reply_to=first)
        house.say(at + 3, MIA, f"@Tom the blue one {evening} :tea: 🎉", mentions=(TOM,))
        house.say(at + 4, SCRIPT, f"compilers compile kettles {evening} compilers", reply_to=answer)
        house.say(at + 5, DOLLAR, f"{_GERMAN} {evening}", channel=GARDEN, mentions=(TOM, TOM))
        house.say(at + 6, ZED, f"zebra zigzag sentence that nobody may see {evening} 🦓 :zedmoji:", channel=GARDEN)
        house.say(at + 7, KIM, f"kimono kimchi kiosk sentence {evening}, quoted by nobody", reply_to=first)
        house.say(at + 8, NUR, f"nutmeg is not learned from {evening}", channel=GARDEN)
        house.say(at + 9, TOM, f"@Zed Zorro did you see {evening}? ask Zed Zorro", mentions=(ZED,))


def _oddities(house: Teahouse) -> None:
    at = 30 * DAY
    for number in range(7):
        house.say(at + number * 0.01, TURNED, f"flood {number}")
    for _ in range(4):
        house.say(at + 10, MIA, "the very same sentence, word for word again")
    house.say(at + 20, MIA, _SECRET)
    house.say(at + 21, TOM, f"!login {_SECRET}")
    house.say(at + 22, SUSU, "logged in", mentions=(TOM,))
    house.say(at + 23, SUSU, "", type_=7)
    house.say(at + 24, TOM, "", files=1)
    house.say(at + 25, TOM, "https://example.org/only/a/link")
    house.say(at + 26, TOM, "@everyone look @here", mentions=(MIA, SCRIPT, DOLLAR, KIM, NUR, TURNED))
    house.say(
        at + 27, MIA, "```python\nprint('tea')\n``` runs <:pot:123456789012345678> <a:pot:123456789012345678> 👍🏽"
    )
    house.say(at + 28, MIA, "edited and pinned", edited=True, pinned=True)
    gone = house.say(at + 29, TOM, "this will be deleted, and answered")
    house.say(at + 30, MIA, "an answer to what is gone", reply_to=gone)
    house.say(at + 31, MIA, "talking to myself", reply_to=house.messages[-1])
    house.say(at + 31.5, TOM, "Zed Zorro and zedaccount won, who else", reactions=(("👏", 5),))
    house.say(at + 32, TURNED, "</script><img src=x onerror=alert(1)> \u202e evil", reactions=(("❤️", 9), ("pot", 2)))
    house.say(at + 2 * DAY, MIA, "nobody answers here")


def filled(folder: Path, said: list[Message]) -> Archive:
    """An archive of these messages."""
    archive = Archive(folder)
    for channel in (KITCHEN, GARDEN):
        archive.add_channel(GUILD, channel, origin="export", seen_at=START)
    archive.add(said, source=archive.add_source("export", "teahouse.json"), fetched_at=START)
    return archive


def built(folder: Path) -> Archive:
    """An archive that holds all of it, with everybody's answers."""
    said = messages()
    archive = filled(folder, said)
    archive.delete([message.id for message in said if message.rendered.startswith("this will be deleted")], at=START)
    consents = archive.consents
    consents.say(ZED.id, by="member", way="command", at=START, learn=False, remember=False, quote=False)
    consents.say(KIM.id, by="member", way="command", at=START, quote=False)
    consents.say(NUR.id, by="owner", way="cli", at=START, learn=False)
    return archive
