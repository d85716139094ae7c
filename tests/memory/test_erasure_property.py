"""What is taken away is gone: no search finds it, and no byte of it is left in the data folder."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sususbot.archive.archive import Archive
from sususbot.archive.links import Found as Link
from sususbot.forgetting import Forgetting
from sususbot.memory.embedding import embedded_text
from sususbot.memory.indexing import index
from sususbot.memory.long_term import LongTerm
from sususbot.memory.short_term import Folds, ShortTerm
from sususbot.memory.summarizer.extractive import Extractive
from sususbot.memory.terms import terms_of, words
from sususbot.memory.vector_index import ExactIndex
from sususbot.messages import Author, Message
from tests.memory.chat import MIA, TOM, Chat, WordEmbedder

HER = Author(348_486_555_679_065_097, "zanzibari", "Zanzi the Elder")
SAID = st.tuples(st.sampled_from([HER, MIA, TOM]), st.sampled_from([5, 300, 3000]), st.integers(1, 2))
ENDINGS = ("ing", "ed", "s", "")


def unique(number: int) -> str:
    """A word that nobody else says, with an ending that a stem loses."""
    return f"qx{number}zyzzyv{number * 7919 % 9973}{ENDINGS[number % 4]}"


def told(archive: Archive, chat: Chat, sayings: Sequence[tuple[Author, int, int]]) -> list[Message]:
    """Say it all, and make all that is made of it: vectors, terms, links, summaries."""
    said: list[Message] = []
    for number, (author, after, channel) in enumerate(sayings):
        text = f"well {unique(number)} walked to the {unique(number + 5000)} market"
        said.append(chat.say(author, text, channel=channel, after=after))
    index(archive, WordEmbedder())
    archive.links.use_linker("rules")
    archive.links.put([Link(one.id, one.rendered, None, 0.5) for one in said])
    short_term = ShortTerm(archive, window=5, folds=Folds("sususbot", summarizer=Extractive()))
    short_term.start()
    short_term.close()
    return said


def memory_of(archive: Archive) -> LongTerm:
    return LongTerm(archive, WordEmbedder(), ExactIndex(64))


def shown(memory: LongTerm, question: str) -> list[Message]:
    return [message for hit in memory.search(question, limit=20).hits for message in (hit.message, *hit.around)]


def assert_no_trace(folder: Path, gone: Sequence[Message]) -> None:
    left = b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
    for one in gone:
        for word in (said for said in words(one.rendered) if said.startswith("qx")):
            # The beginning may stand in a longer one of somebody else's; this much of a word is its own.
            assert word.encode() not in left
            assert word[2:].encode() not in left
            assert word.removesuffix("ing").removesuffix("ed").encode() not in left
        terms = terms_of(one.rendered)
        assert zlib.crc32(b"well").to_bytes(4, "little") == terms[:1].tobytes()
        assert terms[:2].tobytes() not in left
        assert terms[1:3].tobytes() not in left
        vector = WordEmbedder().embed([embedded_text(one.author.display_name, one.rendered)])[0]
        assert vector.astype(np.float16).tobytes() not in left


def kept_bytes(folder: Path, one: Message) -> bool:
    """Whether a message is written there, in every form: else its absence would say nothing."""
    left = b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
    vector = WordEmbedder().embed([embedded_text(one.author.display_name, one.rendered)])[0].astype(np.float16)
    forms = (one.rendered.encode(), terms_of(one.rendered)[:2].tobytes(), vector.tobytes())
    return all(form in left for form in forms)


@settings(max_examples=8, deadline=None)
@given(sayings=st.lists(SAID, min_size=12, max_size=40))
def test_who_is_forgotten_is_found_by_nothing_and_left_nowhere(sayings: list[tuple[Author, int, int]]) -> None:
    sayings = [(HER, 5, 1), (TOM, 5, 1), *sayings]
    with TemporaryDirectory() as folder:
        with Archive(Path(folder)) as archive:
            said = told(archive, Chat(archive), sayings)
            hers = [one for one in said if one.author == HER]
            before = memory_of(archive)
            assert before.search(unique(0), limit=1).hits[0].message == hers[0]
            assert kept_bytes(Path(folder), hers[0])
            Forgetting(archive, Path(folder)).forget(HER.id, at=Chat(archive).now + 1)
            before.drop_stale([one.id for one in hers])
            questions = [HER.name, "what did Zanzi the Elder say?", "market", *(one.rendered for one in said[:10])]
            questions += [unique(number) for number, one in enumerate(said) if one in hers]
            for memory in (before, memory_of(archive)):
                for question in questions:
                    assert not {one.id for one in shown(memory, question)} & {one.id for one in hers}
                assert shown(memory, unique(1))[0] == said[1]
                memory.close()
        assert_no_trace(Path(folder), hers)
        assert kept_bytes(Path(folder), said[1])


@settings(max_examples=8, deadline=None)
@given(sayings=st.lists(SAID, min_size=12, max_size=30), place=st.integers(0, 11), edited=st.booleans())
def test_what_is_deleted_or_edited_is_found_by_nothing_and_left_nowhere(
    sayings: list[tuple[Author, int, int]], place: int, edited: bool
) -> None:
    with TemporaryDirectory() as folder:
        with Archive(Path(folder)) as archive:
            chat = Chat(archive)
            said = told(archive, chat, sayings)
            gone, before = said[place], memory_of(archive)
            assert before.search(unique(place), limit=1).hits[0].message.id == gone.id
            if edited:
                chat.edit(gone, "plain speech, lanterns")
            else:
                chat.delete(gone)
            before.drop_stale([gone.id])
            while before.learn():
                pass
            for memory in (before, memory_of(archive)):
                for question in (gone.rendered, unique(place), unique(place + 5000), "market", gone.author.name):
                    assert gone.rendered not in {one.rendered for one in shown(memory, question)}
                found = [hit.message.id for hit in memory.search("lanterns", limit=1).hits]
                assert (found == [gone.id]) == edited
                memory.close()
        assert_no_trace(Path(folder), [gone])


def test_what_is_learned_before_the_news_of_an_edit_takes_the_old_words_place(archive: Archive, chat: Chat) -> None:
    message = chat.say(MIA, "zanzibar plan")
    memory = LongTerm(archive, None, None)
    chat.edit(message, "garden plan")
    # Learned by whoever came between the edit and the news of it.
    assert memory.learn([message.id]) == 0
    memory.drop_stale([message.id])
    assert shown(memory, "garden")[0].id == message.id
    assert memory.search("zanzibar", limit=1).hits == []
    memory.close()
