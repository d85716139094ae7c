"""Recent turns by who answers whom: a known reply first, then whoever is spoken to, whatever stands between."""

from sususbot.memory.context import ContextBuilder
from sususbot.memory.relevance import by_links
from sususbot.messages import Turn
from sususbot.model.estimate import estimate_tokens

MARCH = 1_709_424_000_000  # 3 Mar 2024
SAID = [
    ("mia", "does anybody know how the printer takes parchment?"),
    ("eve", "goal! town leads by one, what a match"),
    ("ana", "eve: who scored?"),
    ("eve", "ana: the keeper, from his own box"),
    ("ana", "eve: no way, the keeper"),
    ("eve", "ana: the whole stand saw it, and everybody on the roof of the bakery, too"),
    ("ana", "eve: and the other side, what did they say to that, were they there at all?"),
    ("eve", "ana: in tears, all of them"),
    ("ana", "eve: I would have liked to see that, but somebody has to mind the shop on a Saturday"),
    ("eve", "ana: next time I shall mind the shop and you go, promised"),
]


def turns() -> list[Turn]:
    return [
        Turn(name, text, MARCH + 20_000 * place, message_id=100 + place, author_id=ord(name[0]))
        for place, (name, text) in enumerate(SAID)
    ]


def asked(text: str, reply_to: int | None = None) -> Turn:
    return Turn("tom", text, MARCH + 200_000, message_id=200, author_id=7, reply_to=reply_to)


def test_a_known_reply_matters_most() -> None:
    weights = by_links()(turns(), asked("no idea", reply_to=100))
    assert len(weights) == len(SAID)
    assert all(0 <= one <= 1 for one in weights)
    assert weights.index(max(weights)) == 0


def test_who_is_spoken_to_matters_more_than_who_spoke_last() -> None:
    weights = by_links()(turns(), asked("mia: it does not, parchment melts in the printer"))
    assert weights.index(max(weights)) == 0


def test_turns_without_ids_are_told_apart_by_their_place() -> None:
    said = [Turn(name, text, MARCH + 20_000 * place) for place, (name, text) in enumerate(SAID)]
    weights = by_links()(said, Turn("tom", "mia: it does not, parchment melts", MARCH + 200_000))
    assert weights.index(max(weights)) == 0
    assert by_links()([], asked("hello?")) == []


def test_a_prompt_with_room_for_few_turns_has_the_one_that_is_answered() -> None:
    question = asked("mia: it does not, parchment melts in the printer")
    shown = {}
    for relevance in (None, by_links()):
        builder = ContextBuilder(
            persona="", own_name="susu", tokens=200, count_tokens=estimate_tokens, relevance=relevance
        )
        context = builder.build(question, turns(), [], {})
        assert 1 < len(context.turns) <= len(SAID)
        shown[relevance is None] = "how the printer takes parchment" in context.prompt
    assert shown == {True: False, False: True}
