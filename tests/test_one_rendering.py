"""Serving shows a model what training showed it: of the same turns, the same text to the letter, on a real archive."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sususbot.archive.archive import Archive
from sususbot.corpus.build import build
from sususbot.corpus.recipe import Recipe
from sususbot.corpus.samples import Sample
from sususbot.corpus.tokens import Estimate
from sususbot.errors import CorpusEmpty
from sususbot.memory.context import ContextBuilder
from sususbot.memory.short_term import ShortTerm, turn
from sususbot.messages import Author, Message
from sususbot.wording.rules import Rewriting, someone
from tests.corpus.talk import ANA, KITCHEN, LEO, MIA, MINUTE, SECOND, TOM, archive_of, message, talk

PERSONA = "This is the chat of Tea house."
# Roomy, so that no conversation is divided: what a later part repeats is no prompt of its own.
RECIPE = Recipe(own_name="susu", persona_text=f" {PERSONA}\n", sample_tokens=20_000, author_cap=1.0, valid_share=0.0)
# Two who are called like others: one like Mia, one like the bot.
MIA_TOO, IMPOSTOR = Author(5, "mia2", "Mia"), Author(6, "real_susu", "Susu ")
EVERYBODY = (MIA, TOM, ANA, LEO, MIA_TOO, IMPOSTOR)
WORDS = [
    *["tea", "or coffee?", "yes", "@Mia", "@tom", "@Susu", "<@1>", "<@!2>", "<@77>", "<#20>", "<:tea:456>", "🎉" * 5],
    *["https://example.com/a?b=(c)", "[here](https://example.com)", "[link]", "susu: hi", "⏎", "\u200b\u202e", "\n"],
    *[
        "password: hunter22",
        "mia@example.com",
        "call me at +44 20 7946 0958",
        "nooooooooooo",
        "e\u0301\u0302\u0303\u0304",
    ],
    *["```py\nx = 1\ny = 2\n```", "> not mine\nmine", "long words " * 25, "very long words " * 80],
]
TEXT = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)


@st.composite
def chats(draw: st.DrawFn) -> list[Message]:
    """Some who talk in a channel, in runs, with pauses, and answers to what was said before."""
    said: list[Message] = []
    at = 0
    for _ in range(draw(st.integers(2, 14))):
        at += draw(st.sampled_from([20 * SECOND, 20 * SECOND, 4 * MINUTE, 6 * MINUTE]))
        author = draw(st.sampled_from([*EVERYBODY[:2] * 3, *EVERYBODY]))
        answered = draw(st.sampled_from([None, None, None, *said]))
        reply_to = answered.id if answered else None
        said.append(message(at, author, draw(TEXT), type=19 if answered else 0, reply_to=reply_to))
    return said


def builder(archive: Archive) -> ContextBuilder:
    """As the command line makes it, with room for everything."""

    def name_of(author_id: int) -> str:
        author = archive.author(author_id)
        return author.display_name if author else someone(author_id)

    return ContextBuilder(
        persona=PERSONA, own_name="susu", tokens=1_000_000, count_tokens=len, rewriting=Rewriting(name_of=name_of)
    )


def both(archive: Archive, sample: Sample) -> Iterator[tuple[str, str]]:
    """For each own reply in a sample: what training reads up to it, and what serving writes of the same messages."""
    pieces = sample.pieces(PERSONA)
    for place, reply in enumerate(sample.turns):
        before = list(dict.fromkeys(id_ for one in sample.turns[:place] for id_ in one.message_ids))
        # Half of a long message is said, the other half is the reply: nobody is asked for that.
        if not reply.own or not before or not set(before).isdisjoint(reply.message_ids):
            continue
        messages = archive.messages(before)
        *recent, asked = (turn(messages[id_], sample.played) for id_ in before)
        context = builder(archive).build(asked, recent, [], {}, archive.author(sample.played))
        # A name and its words are a piece each, after the header.
        yield "".join(text for text, _ in pieces[: 2 * place + 2]), context.prompt


@settings(max_examples=30, deadline=None)
@given(chats())
def test_a_prompt_is_what_training_read_up_to_the_reply(said: list[Message]) -> None:
    with tempfile.TemporaryDirectory() as folder, archive_of(Path(folder), said) as archive:
        try:
            built = build(archive, Path(folder) / "corpora" / "c", RECIPE, Estimate())
        except CorpusEmpty:
            assume(False)
        compared = [pair for sample in built.corpus.train() for pair in both(archive, sample)]
    for read, written in compared:
        assert written == read


def test_the_window_of_a_channel_is_read_as_a_sample_is(tmp_path: Path) -> None:
    said = talk(
        (TOM, "look"),
        (TOM, "at <:tea:456> and\nthat"),
        (TOM, "https://example.com it is"),
        (MIA_TOO, "@Mia have you seen it? my password: hunter22"),
        (ANA, "she has"),
        (MIA, "yes"),
        (MIA, "and no"),
    )
    with archive_of(tmp_path, said) as archive:
        built = build(archive, tmp_path / "corpora" / "c", RECIPE, Estimate())
        (sample,) = built.corpus.train()
        (pair,) = both(archive, sample)
        short_term = ShortTerm(archive, window=20, own_id=sample.played)
        *recent, asked = short_term.recent(KITCHEN.id, before=said[5].id)
        context = builder(archive).build(asked, recent, [], {}, short_term.own_account)
    assert sample.played == MIA.id
    assert pair[0] == pair[1] == context.prompt
    assert context.prompt == (
        "This is the chat of Tea house.\n"
        "\n"
        "Tom: look ⏎ at :tea: and ⏎ that\n"
        "Tom: [link] it is\n"
        "Mia: @susu have you seen it? my password: [password]\n"
        "Ana: she has\n"
        "susu:"
    )
    assert sample.pieces(PERSONA)[-1] == (" yes ⏎ and no\n", 1.0)
