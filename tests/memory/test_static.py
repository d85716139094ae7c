"""The static table: made from the encoder once, made anew for another, enough by itself where there is no encoder."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from sususbot.errors import ModelLoadFailed, ModelNotFound
from sususbot.memory import static
from sususbot.memory.embedders import make
from sususbot.memory.embedding import MiniLM
from sususbot.memory.static import StaticEmbedder, is_static

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "!", "the", "a", "kettle", "printer", "##s", "broke"]


def tiny(folder: Path, seed: int = 0) -> str:
    """An encoder of eleven words with weights by chance."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=len(VOCABULARY), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    transformers.BertModel(config).save_pretrained(folder)
    words = tokenizers.BertWordPieceTokenizer({word: number for number, word in enumerate(VOCABULARY)})
    words.save(str(folder / "tokenizer.json"))
    return str(folder)


def test_a_text_is_the_weighted_mean_of_what_its_tokens_are_alone(tmp_path: Path) -> None:
    model = tiny(tmp_path / "tiny")
    table = StaticEmbedder(model, tmp_path / "table.npz")
    alone = MiniLM(model).embed(["the", "kettle"])
    the, kettle = static._weights(VOCABULARY)[[5, 7]]
    assert the < kettle
    mean = the * alone[0] + 2 * kettle * alone[1]
    assert table.embed(["kettle the kettle"])[0] == pytest.approx(mean / np.linalg.norm(mean), abs=0.01)


def test_the_order_of_words_does_not_matter_and_unknown_words_are_alike(tmp_path: Path) -> None:
    table = StaticEmbedder(tiny(tmp_path / "tiny"), tmp_path / "table.npz")
    one, other, strange, empty = table.embed(["the printer broke", "broke the printer", "xyzzy", ""])
    assert one == pytest.approx(other, abs=1e-6)
    assert np.array_equal(strange, empty)


def test_it_is_made_once_and_anew_for_other_weights(tmp_path: Path) -> None:
    file = tmp_path / "models" / "table.npz"
    model = tiny(tmp_path / "tiny")
    first = StaticEmbedder(model, file)
    made = file.stat().st_mtime_ns
    assert StaticEmbedder(model, file).name == first.name
    assert file.stat().st_mtime_ns == made
    second = StaticEmbedder(tiny(tmp_path / "tiny", seed=1), file)
    assert second.name != first.name
    assert not np.allclose(first.embed(["kettle"]), second.embed(["kettle"]))
    assert [path.name for path in file.parent.iterdir()] == ["table.npz"]


def test_it_needs_neither_encoder_nor_torch_once_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "table.npz"
    model = tiny(tmp_path / "tiny")
    made = StaticEmbedder(model, file)
    shutil.rmtree(model)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert np.array_equal(StaticEmbedder(model, file).embed(["a kettle"]), made.embed(["a kettle"]))
    with pytest.raises(ModelNotFound):
        StaticEmbedder(model, tmp_path / "other.npz")


def test_a_table_that_is_cut_off_is_made_again_or_told(tmp_path: Path) -> None:
    file = tmp_path / "table.npz"
    model = tiny(tmp_path / "tiny")
    name = StaticEmbedder(model, file).name
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert StaticEmbedder(model, file).name == name
    file.write_bytes(whole[: len(whole) // 2])
    shutil.rmtree(model)
    with pytest.raises(ModelLoadFailed, match="remove it"):
        StaticEmbedder(model, file)


@pytest.mark.parametrize(
    ("choice", "made_by", "expected"),
    [
        ("auto", None, False),
        ("auto", "static-1-tiny:123", True),
        ("auto", "all-MiniLM-L6-v2:123", False),
        ("minilm", "static-1-tiny:123", False),
        ("static", None, True),
    ],
)
def test_auto_is_the_encoder_and_stays_with_what_made_the_vectors(
    choice: str, made_by: str | None, expected: bool, tmp_path: Path
) -> None:
    model = tiny(tmp_path / "tiny")
    embedder = make(choice, model, tmp_path / "models", made_by=made_by)  # type: ignore[arg-type]
    assert is_static(embedder.name) == expected
    assert (tmp_path / "models" / "static-tiny.npz").is_file() == expected
