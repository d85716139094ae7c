"""A trace lets its reader say why a reply was said: who answered, from what, what was left out, how long it took."""

import json
from collections.abc import Sequence
from typing import Any

from sususbot.cli.trace import as_json
from sususbot.explaining import Shown, lines, to_a_member
from sususbot.memory.context import Context, ContextBuilder
from sususbot.memory.summary import Summary
from sususbot.memory.surroundings import Hit
from sususbot.messages import Author, Message, Turn
from sususbot.model.backend import Usage
from sususbot.model.inference import Fallback, Generation
from sususbot.responder import Reply, Trace

MARCH = 1_709_424_000_000  # 3 Mar 2024
GIST = Summary("3 Mar 2024, 14:05, mia planned a party", "extractive", MARCH, MARCH, 5, "bart was late")
SECRETS = ("gerald", "who broke", "party", "word", "mia", "eve")


PARTS = {"meaning": 0.5, "words": 0.25, "recency": 0.001, "time_named": 0.0}


def relevance(turns: Sequence[Turn], _asked: Turn) -> list[float]:
    return [0.9 if one.message_id == 3 else 0.0 for one in turns]


def reply(**more: Any) -> Reply:
    said = Message(70, 1, Author(2, "eve", "eve"), MARCH, "it was gerald", "it was gerald")
    beside = Message(71, 1, Author(2, "eve", "eve"), MARCH, "truly", "truly")
    hit = Hit(said, 0.75, PARTS, (said, beside))
    recent = [
        Turn("mia", f"number {number} " + "word " * 30, MARCH + number * 600_000, message_id=number, author_id=1)
        for number in range(1, 21)
    ]
    asked = Turn("mia", "who broke it?", MARCH + 20_000_000, message_id=50, author_id=1)
    builder = ContextBuilder(
        persona="A chat.", own_name="susu", tokens=700, count_tokens=lambda t: len(t.split()), relevance=relevance
    )
    context = builder.build(asked, recent, [hit], {1: "general"}, None, GIST)
    generation = Generation(
        "gerald", "llamacpp", Usage(600, 5, 420), (Fallback("openai", "it was late"),), seconds={"model": 1.0}
    )
    return Reply("gerald", Trace(asked.text, more.get("context", context), generation, {"total": 1.25}, True))


def test_a_reader_sees_why() -> None:
    told = list(lines(reply()))
    text = "\n".join(told)
    assert told[:3] == [
        "answered by llamacpp (600 prompt tokens, 420 of them cached, 5 written)",
        "  not by openai: it was late",
        "summary of 5 messages before the recent ones, by extractive (bart was late):",
    ]
    assert told[3] == "  > 3 Mar 2024, 14:05, mia planned a party"
    assert " of 20: 1 that the message may go on from, then the newest:\n  0.90  mia: number 3 word" in text
    assert "  0.75  3 Mar 2024, eve: it was gerald\n        meaning 0.50, words 0.25; with 1 message around it" in text
    assert "turns (budget of " in text
    assert told[-1] == "milliseconds: total 1250.0"


def test_programs_get_all_of_it() -> None:
    one = reply()
    told = json.loads(json.dumps(as_json(one)))
    assert told["prompt"] == one.trace.context.prompt
    assert told["summary"] == {
        "text": GIST.text,
        "by": "extractive",
        "first_at_ms": MARCH,
        "last_at_ms": MARCH,
        "messages": 5,
        "note": "bart was late",
    }
    assert (told["turns"][0]["id"], told["turns"][0]["relevance"]) == ("3", 0.9)
    assert (told["turns"][-1]["text"], told["turns"][-1]["relevance"]) == ("who broke it?", None)
    assert told["memories"][0]["parts"] == PARTS
    assert [section["name"] for section in told["sections"]] == ["persona", "summary", "recent", "memories", "message"]
    assert told["left_out"][0]["section"] == "recent"


def test_a_reply_without_a_context_has_a_trace_too() -> None:
    asked = Turn("mia", "hello?", MARCH)
    one = reply(context=Context("", (asked,), (), (), ()))
    told = list(lines(one))
    assert "recent turns: none" in told
    assert told[told.index("left out:") + 1] == "  nothing"
    assert "memories: none" in list(to_a_member(one, {}))
    assert as_json(one)["summary"] is None


def test_a_member_sees_reasons_and_only_the_memories_meant_for_them() -> None:
    told = list(to_a_member(reply(), {}))
    assert "- not by openai: failed" in told
    assert "- 1 that is gone by now, or not to be seen here" in told
    assert any(line.startswith("tokens used, of each section's budget: persona 2/") for line in told)
    assert not [word for word in SECRETS if word in "\n".join(told).replace("meaning and words", "")]
    seen = "\n".join(to_a_member(reply(), {70: Shown("eve", "it was gerald", "<link>")}))
    assert "- 0.75 3 Mar 2024, eve: it was gerald <link>\n  meaning 0.50, words 0.25" in seen
    quiet = "\n".join(to_a_member(reply(), {70: Shown("eve", None, "<link>")}))
    assert "eve: (does not want to be quoted) <link>" in quiet
    assert "gerald" not in quiet


def test_a_log_has_figures_and_ids_and_nobodys_words() -> None:
    facts = reply().trace.facts()
    assert facts.startswith("by llamacpp; not by openai (failed); 600 tokens read, 420 of them cached, 5 written; pers")
    assert "; memories 70; left out 1; total 1250 ms" in facts
    assert "turns 3 " in facts
    assert not [word for word in SECRETS if word in facts]
    assert "\n" not in facts
