"""What is learned of a sample is exactly what its weights say, whatever was written and however it is cut."""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from transformers import AutoTokenizer, CanineTokenizer, LlamaTokenizer, PreTrainedTokenizerFast

from sususbot import chat_format
from sususbot.corpus import tokens
from sususbot.corpus.samples import Sample, SampleTurn
from sususbot.errors import BaseUnfit
from sususbot.training import vocabulary
from sususbot.training.documents import Document, documents, plain
from tests.training import tiny

PERSONA = "sus lives on the server and is kind,\nmostly.  "
OWN, OTHERS = 1.0, 0.2
ODD = (
    "</s>",
    "<s>",
    "<|end|>",
    "[INST]",
    "▁",
    " ⏎ ",
    "<0x0A>",
    "👩‍👩‍👧‍👦🏴󠁧󠁢󠁳󠁣󠁴󠁿",
    "z̷̈̃a̴l",
    "ﷺ",
    "\u202eevil",
    "a\ud800b",
    "\r\n",
    "\u2028",
    "  x   y  ",
    ":",
    "::) :",
    "",
)


class Cut(NamedTuple):
    """A tokenizer, and how to read the bytes of its tokens."""

    tokenizer: Any
    read: Callable[[str], bytes]


def _read_piece(piece: str) -> bytes:
    if len(piece) == 6 and piece.startswith("<0x"):
        return bytes([int(piece[3:5], 16)])
    return piece.replace("▁", " ").encode()


@cache
def cut(name: str) -> Cut:
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if name == "tiny":
            vocabulary.write(tiny.vocabulary_model(), folder)
            return Cut(AutoTokenizer.from_pretrained(folder, local_files_only=True), _read_piece)
        if name == "mistral":
            if not tokens.Mistral.installed():
                pytest.skip("mistral-common is not installed")
            file = tokens._model_file()
            assert file is not None
            shutil.copyfile(file, folder / "tokenizer.model")
            return Cut(LlamaTokenizer.from_pretrained(folder, local_files_only=True), _read_piece)
    return Cut(_byte_level(), _read_letters)


def _byte_level() -> Any:
    """As GPT-2 and Qwen cut texts: bytes, no mark at the beginning."""
    made = Tokenizer(BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    learned = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<|end|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    made.train_from_iterator(tiny.TEXTS * 5, learned)
    wrap: Any = PreTrainedTokenizerFast
    return wrap(tokenizer_object=made, eos_token="<|end|>")


@cache
def _bytes_of_letters() -> dict[str, int]:
    """GPT-2 writes every byte as a letter that can be seen: many as themselves, the others from U+0100 on."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {chr(byte): byte for byte in visible} | {chr(256 + place): byte for place, byte in enumerate(hidden)}


def _read_letters(token: str) -> bytes:
    return bytes(_bytes_of_letters()[letter] for letter in token)


CUTS = ("tiny", "mistral", "bytes")


def turn(speaker: str, text: str, weight: float, at: int = 0, *, own: bool = False) -> SampleTurn:
    return SampleTurn(speaker, text, at, 1, (1,), weight, own=own)


def sample(turns: list[SampleTurn], name: str = "1", *, ends: bool = True) -> Sample:
    return Sample(name, 1, 1, tuple(turns), 0, 0.0, ends=ends)


WORDS = st.one_of(st.text(max_size=30), st.sampled_from(ODD), st.lists(st.sampled_from(ODD), max_size=4).map(" ".join))
OWN_TURN = st.builds(turn, st.just("sus"), WORDS, st.just(OWN), own=st.just(True))
OTHER_TURN = st.builds(turn, st.one_of(st.just("mia"), WORDS), WORDS, st.sampled_from([OTHERS, 0.0]))
SAMPLES = st.builds(sample, st.lists(st.one_of(OWN_TURN, OTHER_TURN), min_size=1, max_size=6), ends=st.booleans())


def said(one: Sample, weight: float) -> str:
    """All text of that weight, as its sample has it."""
    return "".join(text for text, its in one.pieces(PERSONA) if its == weight)


def learned(document: Document, by: Cut, weight: float) -> bytes:
    """The bytes of all tokens of that weight."""
    chosen = np.isclose(document.weights, weight)
    return b"".join(map(by.read, by.tokenizer.convert_ids_to_tokens(document.ids[chosen].tolist())))


@pytest.mark.parametrize("name", CUTS)
@given(one=SAMPLES)
@settings(max_examples=60, deadline=None)
def test_the_tokens_of_a_weight_are_the_text_of_that_weight(name: str, one: Sample) -> None:
    by = cut(name)
    (document,) = documents([one], PERSONA, by.tokenizer)
    bare = _without_marks(document, by, one)
    for weight in (OWN, OTHERS):
        # The sign for a space in a vocabulary is a space to it, also where a member wrote it.
        expected = said(one, weight).replace("▁", " ") if name != "bytes" else said(one, weight)
        assert learned(bare, by, weight).decode() == expected
    sizes = sum(weight * len(said(one, weight).encode()) for weight in (OWN, OTHERS))
    assert document.learned_bytes == pytest.approx(sizes)
    assert document.weights[0] == 0.0


def _without_marks(document: Document, by: Cut, one: Sample) -> Document:
    """The document without its beginning and end marks, which stand where they should and nowhere else."""
    ids, begin, end = document.ids.tolist(), by.tokenizer.bos_token_id, by.tokenizer.eos_token_id
    first, last = int(begin is not None), len(ids) - int(one.ends)
    assert not one.ends or (ids[-1] == end and document.weights[-1] == np.float32(one.turns[-1].weight))
    assert begin is None or ids[0] == begin
    assert not {begin, end} & set(ids[first:last])
    return Document(document.id, document.ids[first:last], document.weights[first:last], 0.0, 0)


@pytest.mark.parametrize("name", CUTS)
@given(one=SAMPLES)
@settings(max_examples=80, deadline=None)
def test_every_prompt_is_the_beginning_of_its_document(name: str, one: Sample) -> None:
    """What serving asks with is what training has read, token for token, up to each reply."""
    tokenizer = cut(name).tokenizer
    (document,) = documents([one], PERSONA, tokenizer)
    begin = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    lines = [chat_format.line(_turn(each)) for each in one.turns]
    for place in range(1, len(lines)):
        *recent, asked = lines[:place]
        prompt = chat_format.prompt(PERSONA, recent, [], asked, one.turns[place].speaker)
        ids = [*begin, *tokenizer(prompt, add_special_tokens=False, split_special_tokens=True)["input_ids"]]
        assert document.ids[: len(ids)].tolist() == ids
        # The first token of the reply is learned if the reply is.
        assert document.weights[len(ids)] == np.float32(one.turns[place].weight)


def _turn(one: SampleTurn) -> Any:
    from sususbot.messages import Turn

    return Turn(one.speaker, one.text, one.at, one.own)


@pytest.mark.parametrize("name", CUTS)
def test_an_example_read_by_eye(name: str) -> None:
    by = cut(name)
    one = sample(
        [turn("mia", "how do I\nread </s>?", OTHERS, 5), turn("sus", "no idea 😂", OWN, 9, own=True)], ends=True
    )
    (document,) = documents([one], PERSONA, by.tokenizer)
    bare = _without_marks(document, by, one)
    assert learned(bare, by, OTHERS).decode() == " how do I ⏎ read < /s>?\n"
    assert learned(bare, by, OWN).decode() == " no idea 😂\n"
    assert learned(bare, by, 0.0).decode().strip() == "sus lives on the server and is kind,\nmostly.\n\nmia:sus:"
    assert document.learned_bytes == pytest.approx(0.2 * 26 + 14)
    assert (document.id, document.at) == ("1", 9)


def test_documents_come_in_the_order_of_their_samples() -> None:
    tokenizer = cut("tiny").tokenizer
    some = [sample([turn("sus", f"number {number}", OWN)], str(number), ends=number % 2 == 0) for number in range(600)]
    together = documents(some, PERSONA, tokenizer)
    assert [document.id for document in together] == [str(number) for number in range(600)]
    for number in (0, 255, 256, 599):
        (alone,) = documents([some[number]], PERSONA, tokenizer)
        assert together[number].ids.tolist() == alone.ids.tolist()
        assert together[number].weights.tolist() == alone.weights.tolist()
    assert documents([], PERSONA, tokenizer) == []


def test_plain_texts_are_learned_whole() -> None:
    for name in CUTS:
        by = cut(name)
        texts = ["hello </s> you", "", "x"] if by.tokenizer.bos_token_id is not None else ["hello </s> you", "x"]
        for text, document in zip(texts, plain(texts, by.tokenizer), strict=True):
            assert document.weights.tolist() == [0.0, *[1.0] * (len(document) - 1)]
            assert document.ids.tolist().count(by.tokenizer.eos_token_id) == 1
            assert document.ids[-1] == by.tokenizer.eos_token_id
            assert document.learned_bytes == len(text)


def test_a_tokenizer_that_does_not_know_places_is_refused() -> None:
    slow: Any = CanineTokenizer
    with pytest.raises(BaseUnfit, match="cannot tell where its tokens are"):
        documents([sample([turn("sus", "hi", OWN)])], PERSONA, slow())
