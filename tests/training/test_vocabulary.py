"""A text is cut alike by SentencePiece, by transformers and by llama.cpp, whatever stands in it."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sentencepiece
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, LlamaTokenizer, PreTrainedTokenizerBase

from sususbot.chat_format import NEWLINE_MARK
from sususbot.errors import TrainingError
from sususbot.model import pieces as sentencepieces
from sususbot.training import vocabulary
from sususbot.training.gguf_base import base_to_gguf
from tests.training import tiny
from tests.training.engine import Engine, engine

MISTRAL = "mistral_instruct_tokenizer_240323.model.v3"

ODD = (
    "",
    " ",
    "   ",
    "\n",
    "\n\n",
    " hello",
    "  hello",
    "hello  ",
    "a  b   c",
    "a\nb",
    "a\r\nb\tc",
    f"x{NEWLINE_MARK}y",
    NEWLINE_MARK,
    "mia: hello\nbob:",
    "mia: hello\nbob: hi there 😂😂\n\n",
    "👨‍👩‍👧‍👦 🏴󠁧󠁢󠁳󠁣󠁴󠁿 ☔️ e\u0301",
    "東京では雨です",
    "hahahahahahahaha!!!!!!!!!! ......",
    "aaaaaaaaaaaaaaaaaaaaaaa",
    " " * 70 + "x",
    "</s><s>[INST] <unk> <0x0A>",
    "▁x a▁b",
    "1234567890",
    "\x00\x01\x7f\u200b\ufeff\ufffd",
)

# What chats are made of, so that repetitions and runs of spaces come up, which plain noise would not bring.
BITS = (
    "ha",
    "a",
    "ab",
    "ba",
    " ",
    "  ",
    "\n",
    "!",
    "?",
    ".",
    "o",
    "0",
    "17",
    "the",
    "ing",
    "😂",
    "é",
    "kettle",
    "⏎",
    "</s>",
)
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(st.tuples(st.sampled_from(BITS), st.integers(1, 6))).map(
        lambda parts: "".join(part * times for part, times in parts)
    ),
)


class Cutters(NamedTuple):
    """One vocabulary, three programs."""

    theirs: sentencepiece.SentencePieceProcessor
    ours: PreTrainedTokenizerBase
    engine: Engine


@pytest.fixture(scope="module", params=["learned here", "Mistral's"])
def cutters(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cutters]:
    folder = tmp_path_factory.mktemp("base")
    model = tiny.vocabulary_model() if request.param == "learned here" else mistrals()
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 32, "head_dim": 8, "num_hidden_layers": 1}
    tiny.base(folder, vocab_size=len(pieces), **sizes)
    vocabulary.write(model, folder)
    base_to_gguf(folder, folder / "model.gguf")
    with engine(folder / "model.gguf") as running:
        yield Cutters(pieces, AutoTokenizer.from_pretrained(folder), running)


def mistrals() -> bytes:
    found = find_spec("mistral_common")
    if found is None or found.origin is None:
        pytest.skip("mistral-common, which brings Mistral's vocabulary, is not installed")
    return (Path(found.origin).parent / "data" / MISTRAL).read_bytes()


def check(cutters: Cutters, text: str) -> None:
    ids = cutters.ours(text, add_special_tokens=False)["input_ids"]
    assert ids == cutters.theirs.encode(text)
    assert ids == cutters.engine.tokens(text, begin=False)
    assert cutters.ours(text)["input_ids"] == cutters.engine.tokens(text)


@pytest.mark.parametrize("text", ODD)
def test_odd_texts_are_cut_alike(cutters: Cutters, text: str) -> None:
    check(cutters, text)


@given(text=texts)
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_is_cut_alike(cutters: Cutters, text: str) -> None:
    check(cutters, text)


def test_a_loaded_base_is_cut_alike_too(cutters: Cutters, tmp_path: Path) -> None:
    vocabulary.write(cutters.theirs.serialized_model_proto(), tmp_path)
    loaded = sentencepieces.load(tmp_path)
    for text in ODD:
        assert loaded(text)["input_ids"] == cutters.ours(text)["input_ids"]


@pytest.mark.parametrize("text", [text for text in ODD if "▁" not in text])
def test_tokens_give_the_text_back(cutters: Cutters, text: str) -> None:
    ids = cutters.ours(text)["input_ids"]
    assert cutters.ours.decode(ids, skip_special_tokens=True) == text
    assert cutters.theirs.decode(ids) == text


def test_a_newline_is_a_byte_of_its_own_and_the_mark_is_no_newline(cutters: Cutters) -> None:
    newline = cutters.theirs.piece_to_id("<0x0A>")
    assert cutters.ours("a\n\nb", add_special_tokens=False)["input_ids"].count(newline) == 2
    assert newline not in cutters.ours(f"a{NEWLINE_MARK}b")["input_ids"]


def test_what_a_member_writes_is_never_a_control_token(cutters: Cutters) -> None:
    controls = {cutters.theirs.bos_id(), cutters.theirs.eos_id(), cutters.theirs.unk_id()}
    assert not controls & set(cutters.ours("</s> <s> <unk>", add_special_tokens=False)["input_ids"])


def test_transformers_own_way_of_loading_cuts_otherwise(tmp_path: Path) -> None:
    """Why the tokenizer is written here. Should this fail one day, transformers does it right by itself."""
    model = mistrals()
    (tmp_path / sentencepieces.SENTENCEPIECE).write_bytes(model)
    alone = LlamaTokenizer.from_pretrained(tmp_path)
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
    for text in ("a  b", " hello", "</s>"):
        assert alone(text, add_special_tokens=False)["input_ids"] != pieces.encode(text)


def test_the_same_texts_give_the_same_vocabulary() -> None:
    assert vocabulary.learn(tiny.TEXTS * 20, 420) == tiny.vocabulary_model()


def test_few_texts_give_a_small_vocabulary() -> None:
    model = vocabulary.learn(["hello hello"], 4000)
    assert 259 < len(sentencepiece.SentencePieceProcessor(model_proto=model)) < 300


def test_no_texts_give_none() -> None:
    with pytest.raises(TrainingError, match="give it more texts"):
        vocabulary.learn([], 400)
