"""Tokens one by one become the text they were made of, in both kinds of vocabularies, whatever stands in it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from sususbot.model.detokenizer import Detokenizer, bytes_of_tokens
from sususbot.model.pieces import load
from tests.support import tiny_hf

TEXTS = ["mia: did anybody feed the starter 😂?", "zoë: 東京では雨です and it is sunny", "hahahaha of course"] * 5


@pytest.fixture(scope="module")
def of_bytes() -> Any:
    """As GPT-2, Llama 3 and Qwen have them: pieces of bytes, written in letters."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet))
    tokenizer.add_special_tokens([AddedToken("<|end|>", special=True)])
    tokenizer.add_tokens([AddedToken("<tea>", special=False)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>")  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def of_pieces(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """As Llama 2 and Mistral have them: pieces of text, and bytes for what has none."""
    folder: Path = tiny_hf.write_base(tmp_path_factory.mktemp("pieces"))
    return load(folder)


def told(tokenizer: Any, ids: list[int]) -> list[str]:
    words = Detokenizer(bytes_of_tokens(tokenizer))
    return [words.feed(token) for token in ids]


def ids_of(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    return ids


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(text=st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(TEXTS))
def test_any_text_comes_back(of_bytes: Any, of_pieces: Any, text: str) -> None:
    assert "".join(told(of_bytes, ids_of(of_bytes, text))) == text
    # A text's first word has a space before it there, and the sign for a space is one.
    whole = "".join(told(of_pieces, ids_of(of_pieces, text)))
    assert whole == (f" {text}".replace("▁", " ") if text else "")


@pytest.mark.parametrize("kind", ["of_bytes", "of_pieces"])
def test_a_character_comes_whole_or_not_at_all(kind: str, request: pytest.FixtureRequest) -> None:
    tokenizer = request.getfixturevalue(kind)
    ids = ids_of(tokenizer, "a🎉b")
    for cut in range(len(ids)):
        assert "".join(told(tokenizer, ids[:cut])).lstrip() in ("", "a", "a🎉", "a🎉b")
    pieces = told(tokenizer, ids)
    assert "🎉" in "".join(pieces)
    assert all("\ufffd" not in piece for piece in pieces)


def test_bytes_that_are_no_character_cost_only_themselves(of_pieces: Any) -> None:
    ids = of_pieces.convert_tokens_to_ids(["▁the", "<0xF0>", "<0x9F>", "▁fox", "<0x41>", "<0xFF>", "<0x42>"])
    assert "".join(told(of_pieces, ids)) == " the foxAB"


def test_control_tokens_are_no_text_and_added_words_are(of_bytes: Any, of_pieces: Any) -> None:
    ids = of_bytes.convert_tokens_to_ids(["<tea>", "<|end|>"])
    assert told(of_bytes, ids) == ["<tea>", ""]
    assert told(of_pieces, [0, 1, 2]) == ["", "", ""]
    # A model's output may be wider than its vocabulary.
    assert told(of_pieces, [100_000]) == [""]
