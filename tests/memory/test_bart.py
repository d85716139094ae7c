"""BART itself: found, loaded, read in pieces, and said what is wrong with it. With a tiny one that the test makes."""

import json
import shutil
from pathlib import Path

import pytest

from sususbot.errors import BackendFailed, ModelLoadFailed, ModelNotFound
from sususbot.memory.summarizer.bart import Bart, find_model
from sususbot.memory.summarizer.summarizer import Said, TooLate
from sususbot.model.backend import Deadline
from tests.support import tiny_bart

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

TALK = [Said(*line.split(": ", 1)) for line in tiny_bart.TEXTS]
TIME = 30.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bart.write(tmp_path_factory.mktemp("bart") / "tiny")


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def gist(folder: Path, said: list[Said] = TALK[:2], *, int8: bool = True, beams: int = 4) -> str:
    return Bart(folder, int8=int8, beams=beams).summarize(said, Deadline(TIME))


def test_it_is_found_by_its_folder(folder: Path) -> None:
    assert find_model(str(folder)) == folder


def test_it_is_found_in_the_hubs_cache(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    kept = tmp_path / "models--someone--bart"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("abc", encoding="utf-8")
    shutil.copytree(folder, kept / "snapshots" / "abc")
    assert find_model("someone/bart") == kept / "snapshots" / "abc"
    (kept / "snapshots" / "abc" / "model.safetensors").unlink()
    with pytest.raises(ModelNotFound):
        find_model("someone/bart")


@pytest.mark.parametrize("name", ["nobody/has-this-bart", "./nowhere", "nowhere", "a/b/c"])
def test_one_that_is_not_there_is_said_with_the_next_step(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelNotFound) as caught:
        find_model(name)
    assert str(caught.value) == (
        f'the summarizer {name} is not on this machine: run  hf download {name} --exclude "*.h5" --exclude "*.ot" '
        '--exclude "*.msgpack"  once, set SUMMARIZATION_MODEL to its folder, or set SUMMARIZER=extractive'
    )


@pytest.mark.parametrize("spoiled", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_broken_folder_is_said_again_each_time(copied: Path, spoiled: str) -> None:
    (copied / spoiled).write_bytes(b"not what it should be")
    summarizer = Bart(copied)
    for _ in range(2):
        with pytest.raises(ModelLoadFailed, match=r"cannot be loaded.*: remove the folder and fetch it again"):
            summarizer.load()


def test_weights_that_lack_layers_are_refused(copied: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(copied / "model.safetensors")
    lacking = {name: tensor for name, tensor in weights.items() if ".fc1." not in name}
    save_file(lacking, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelLoadFailed, match="it lacks 4 layers: fetch it again"):
        Bart(copied).load()


def test_the_folder_is_not_read_before_it_is_used(copied: Path) -> None:
    summarizer = Bart(copied)
    (copied / "config.json").unlink()
    with pytest.raises(ModelLoadFailed):
        summarizer.load()


def test_linear_layers_are_held_as_bytes_and_say_what_whole_numbers_do(folder: Path) -> None:
    quantized, whole = Bart(folder), Bart(folder, int8=False)
    assert quantized.summarize(TALK[:2], Deadline(TIME)).startswith("mia and tom talked: ")
    whole.load()
    kinds = {type(layer).__module__ for layer in quantized._model()._model.modules()}
    assert any("quantized" in kind for kind in kinds)
    assert not any("quantized" in type(layer).__module__ for layer in whole._model()._model.modules())


def test_what_is_said_decides_what_comes_out(folder: Path) -> None:
    assert gist(folder, TALK[:2]) != gist(folder, TALK[2:4])


def test_the_models_limit_is_real_and_kept_by_reading_in_pieces(folder: Path) -> None:
    """Nothing is cut: a text over the limit breaks the model, and a talk over it becomes several lines."""
    summarizer = Bart(folder)
    model = summarizer._model()
    assert model.limit == tiny_bart.POSITIONS
    whole = "\n".join(one.line for one in TALK)
    assert len(model.tokens(whole)) + 2 > model.limit
    with pytest.raises(BackendFailed, match="the summarizer broke"):
        model.gist(whole, Deadline(TIME), 1)
    lines = summarizer.summarize(TALK, Deadline(TIME)).split("\n")
    assert len(lines) == 2
    assert summarizer.summarize([TALK[0]], Deadline(TIME)).count("\n") == 0


def test_the_newest_words_reach_the_model(folder: Path) -> None:
    """Where a model cuts at its limit, it is the end that goes."""
    summarizer = Bart(folder)
    other = [*TALK[:-1], Said("tom", "the old house is broken")]
    assert summarizer.summarize(TALK, Deadline(TIME)) != summarizer.summarize(other, Deadline(TIME))


def test_a_minimum_length_of_its_own_is_not_asked_for(copied: Path) -> None:
    """The news model's configuration wants 56 tokens at least, whatever there is to tell."""
    before = gist(copied)
    path = copied / "generation_config.json"
    path.write_text(
        json.dumps(
            json.loads(path.read_text(encoding="utf-8")) | {"min_length": 60, "max_length": 142, "num_beams": 2}
        ),
        encoding="utf-8",
    )
    assert gist(copied) == before


def test_it_stops_in_the_middle_when_its_time_is_over(folder: Path) -> None:
    class Third(Deadline):
        """Over at the third look."""

        looks = 0

        def over(self) -> str | None:  # type: ignore[override]
            self.looks += 1
            return "deadline" if self.looks >= 3 else None

    deadline = Third(TIME)
    with pytest.raises(TooLate):
        Bart(folder).summarize(TALK[:2], deadline)
    assert deadline.looks == 3


def test_one_beam_will_do(folder: Path) -> None:
    assert gist(folder, beams=1)
