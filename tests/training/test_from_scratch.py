"""A base made here: any text can be cut and put together again, and few texts are enough."""

from pathlib import Path
from typing import Any, Final

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer, MistralForCausalLM, PreTrainedTokenizerBase

from sususbot.errors import CorpusEmpty, SettingsError
from sususbot.training import from_scratch
from sususbot.training.recipe import Recipe
from tests.training.tiny import TEXTS

# Halves of surrogate pairs are no text; U+2581 is how a space is written in pieces, and comes back as one.
CHARACTERS: Final = st.characters(exclude_categories=["Cs"], exclude_characters="▁")
ODD: Final = st.sampled_from(
    [
        "🎉",
        "👩‍👩‍👧",
        "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
        "\n",
        "\r\n",
        "  ",
        "\t",
        "\x00",
        "</s>",
        "<s>",
        "<0x0A>",
        "ha",
        "é",
        "é",
        "東",
        "\u2028",
        "12",
        "<unk>",
    ]
)
ANY_TEXT: Final = st.lists(st.one_of(ODD, st.text(CHARACTERS, max_size=8))).map("".join)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    from_scratch.make_tokenizer(TEXTS, folder, 512)
    return folder


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """As anybody else would load it."""
    found: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return found


@pytest.fixture(scope="module")
def pieces(folder: Path) -> Any:
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))


@settings(max_examples=150, deadline=None)
@given(ANY_TEXT)
def test_any_text_is_cut_as_sentencepiece_cuts_it_and_comes_back(
    tokenizer: PreTrainedTokenizerBase, pieces: Any, text: str
) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert ids == pieces.encode(text)
    assert tokenizer.decode(ids) == text


@settings(max_examples=200, deadline=None)
@given(ANY_TEXT)
def test_offsets_cover_the_text_from_its_beginning_to_its_end(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    assert {place for begin, end in offsets for place in range(begin, end)} == set(range(len(text)))
    assert [begin for begin, _ in offsets] == sorted(begin for begin, _ in offsets)


def test_a_newline_is_one_token_and_marks_are_mistrals(tokenizer: PreTrainedTokenizerBase) -> None:
    assert (tokenizer.unk_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 2)
    assert tokenizer.convert_ids_to_tokens(tokenizer.encode("a\nb", add_special_tokens=False))[1] == "<0x0A>"
    assert tokenizer("a")["input_ids"][0] == 1
    assert not {1, 2} & set(tokenizer.encode("</s> <s>", add_special_tokens=False))


def test_the_same_texts_give_the_same_files(tmp_path: Path, folder: Path) -> None:
    from_scratch.make_tokenizer(TEXTS, tmp_path, 512)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }


@pytest.mark.parametrize(
    "texts",
    [
        ["hi"],
        ["é"],
        ["🎉"],
        [" \n x"],
        ["\ud800"],
        ["x " * 10_000],
        ["".join(map(chr, range(0x4E00, 0x4E00 + 3000)))],
        ["日本語。" * 5, *TEXTS],
    ],
    ids=["two letters", "no ascii", "an emoji", "space", "half a pair", "one long line", "3000 signs", "scripts mixed"],
)
def test_few_or_odd_texts_give_what_pieces_they_have(tmp_path: Path, texts: list[str]) -> None:
    made = from_scratch.make_tokenizer(texts, tmp_path, 1024)
    assert 259 < len(made) <= 1024
    assert made.decode(made.encode("a 東🎉\n", add_special_tokens=False)) == "a 東🎉\n"


@settings(max_examples=25, deadline=None)
@given(st.lists(ANY_TEXT, max_size=4))
def test_texts_give_a_tokenizer_or_one_sentence(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("some")
    try:
        assert len(from_scratch.make_tokenizer(texts, folder, from_scratch.LEAST_PIECES)) <= from_scratch.LEAST_PIECES
    except CorpusEmpty:
        assert not "".join(texts).strip()


@pytest.mark.parametrize("texts", [[], [""], [" \n\t "]])
def test_without_words_there_is_no_base_and_nothing_on_disk(tmp_path: Path, texts: list[str]) -> None:
    with pytest.raises(CorpusEmpty, match="run  sususbot build"):
        from_scratch.begin(tmp_path / "start", texts, "tiny", Recipe())
    assert not list(tmp_path.iterdir())


def test_a_vocabulary_without_room_for_words_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="choose 320 or more"):
        from_scratch.make_tokenizer(TEXTS, tmp_path, 300)


def test_a_base_begins_whole_and_alike_for_the_same_seed(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        from_scratch.begin(tmp_path / name, TEXTS, "tiny", Recipe(seed=seed))
    # In place of what was begun before.
    from_scratch.begin(tmp_path / "again", TEXTS, "tiny", Recipe(seed=1))
    one, again, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "again", "other"))
    assert one == again != other
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "one", "other"]
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "one", local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "one", local_files_only=True)
    assert model.config.vocab_size == len(tokenizer)
    assert (model.config.model_type, str(model.dtype)) == ("mistral", "torch.float32")


@pytest.mark.parametrize(("size", "millions"), [("tiny", 1.8), ("small", 2.4), ("medium", 9.5)])
def test_sizes_are_what_they_are_called(size: str, millions: float) -> None:
    shape = from_scratch.SIZES[size]
    model = MistralForCausalLM(from_scratch.base_config(shape.vocabulary, size))
    assert model.num_parameters() / 1e6 == pytest.approx(millions, rel=0.1)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert {weight.shape[-1] % 32 for weight in model.parameters()} == {0}


def test_a_small_corpus_is_read_often_and_a_large_one_once() -> None:
    few, many = from_scratch.pretraining_recipe(7_400), from_scratch.pretraining_recipe(1_500_000)
    assert few.epochs > 20
    assert many.epochs == 1
    assert from_scratch.pretraining_recipe(0).epochs == few.epochs


def test_wide_bases_learn_in_shorter_steps() -> None:
    rates = [from_scratch.pretraining_recipe(1_000_000, size=size).learning_rate for size in from_scratch.SIZES]
    assert rates == sorted(rates, reverse=True)


def test_weights_are_counted_without_loading_them(tmp_path: Path) -> None:
    from_scratch.begin(tmp_path / "start", TEXTS, "tiny", Recipe())
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "start", local_files_only=True)
    assert from_scratch.count_weights(tmp_path / "start") == model.num_parameters()


def test_few_texts_make_few_pieces_and_many_no_more_than_the_size_has(tmp_path: Path) -> None:
    for name, texts, pieces in (
        ("few", TEXTS, 512),
        ("many", [f"{number} {number:x}" for number in range(40_000)], 2048),
    ):
        from_scratch.begin(tmp_path / name, texts, "small", Recipe())
        assert len(AutoTokenizer.from_pretrained(tmp_path / name, local_files_only=True)) <= pieces
