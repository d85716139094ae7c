"""`sususbot train` as its user meets it: what it says before, what comes out, and what can be wrong."""

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sususbot.artifacts import CORPORA, MANIFEST, RUNS
from sususbot.corpus.manifest import Writer
from tests.support.commands import environment, refusal, run_here
from tests.support.kettle import small_exports
from tests.training import tiny

PERMITTED = {"TRAINING_PERMISSION_CONFIRMED": "true"}
# Small steps, so that a few conversations make several of them.
QUICK = {**PERMITTED, "EPOCHS": "1", "TOKENS_PER_STEP": "1024", "PACK_TOKENS": "1024", "LEARNING_RATE": "0.003"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sample community's corpus, and a tiny base."""
    folder = tmp_path_factory.mktemp("built")
    assert run_here("import", *map(str, small_exports()), folder=folder).returncode == 0
    assert run_here("build", folder=folder).returncode == 0
    tiny.base(folder / "base")
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "here"))


@pytest.fixture(scope="module")
def shown(built: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, "subprocess.CompletedProcess[str]"]:
    """The same with an adapter trained on the corpus, and what was said meanwhile."""
    folder = Path(shutil.copytree(built, tmp_path_factory.mktemp("trained") / "here"))
    return folder, run_here("train", "--base", "base", "--cpu", folder=folder, **QUICK)


@pytest.fixture
def trained(shown: tuple[Path, "subprocess.CompletedProcess[str]"], tmp_path: Path) -> Path:
    return Path(shutil.copytree(shown[0], tmp_path / "here"))


def test_a_corpus_to_an_adapter(shown: tuple[Path, "subprocess.CompletedProcess[str]"]) -> None:
    folder, done = shown
    assert done.returncode == 0, done.stderr
    assert "adapter of step" in done.stdout
    assert "bits per byte before" in done.stdout
    assert "next:  sususbot export default" in done.stderr
    made = folder / "data" / RUNS / "default"
    assert (made / "adapter" / "adapter_model.safetensors").is_file()
    assert (made / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    manifest = json.loads((made / MANIFEST).read_bytes())
    assert manifest["state"] == "finished"
    corpus = json.loads((folder / "data" / CORPORA / "default" / MANIFEST).read_bytes())
    assert set(manifest["authors"]) == set(corpus["authors"])
    before, after = manifest["outcome"]["bits_per_byte_before"], manifest["outcome"]["bits_per_byte"]
    assert after < before

    again = run_here("train", "--base", "base", "--cpu", folder=folder, **QUICK)
    assert "go on with  --resume, or give the new one another name with --name" in refusal(again.stderr)
    resumed = run_here("train", "--base", "base", "--cpu", "--resume", folder=folder, **QUICK)
    assert resumed.returncode == 0
    assert "the run default is finished already" in resumed.stderr
    assert resumed.stdout == done.stdout


def test_a_plan_says_everything_and_trains_nothing(folder: Path) -> None:
    done = run_here("train", "--base", "base", "--cpu", "--plan", "--json", folder=folder, **QUICK)
    plan = json.loads(done.stdout)
    assert plan["recipe"]["rows"] == 1
    assert plan["hardware"] == {
        "device": "cpu", "precision": "fp32", "four_bit": False, "batch_rows": 1, "plain_layers": 2,
    }  # fmt: skip
    assert "not quantised" in done.stderr
    assert not (folder / "data" / RUNS).exists()


def test_an_adapter_learns_what_came_since(trained: Path) -> None:
    """The first run reads a corpus whose newest conversations are kept apart; later they are what came since."""
    folder = trained
    nothing_new = run_here(
        "train", "--base", "base", "--cpu", "--continue", "default", "--name", "b", folder=folder, **QUICK
    )
    assert "holds nothing newer" in refusal(nothing_new.stderr)
    assert run_here("build", folder=folder, VALID_SHARE="0").returncode == 0
    done = run_here("train", "--base", "base", "--cpu", "--continue", "default", "--name", "b", folder=folder, **QUICK)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((folder / "data" / RUNS / name / MANIFEST).read_bytes()) for name in ("default", "b"))
    assert second["continued"] == "default"
    assert second["learned_until"] > first["learned_until"]
    assert second["outcome"]["step"] < first["outcome"]["step"]

    # As a run that was broken off: what it went on from stands in its manifest.
    (folder / "data" / RUNS / "b" / MANIFEST).write_text(
        json.dumps({**second, "state": "training", "outcome": None}), encoding="utf-8"
    )
    resumed = run_here("train", "--base", "base", "--cpu", "--resume", "--name", "b", folder=folder, **QUICK)
    assert resumed.returncode == 0, resumed.stderr
    assert "adapter of step" in resumed.stdout

    other = tiny.base(folder / "other", seed=5)
    done = run_here(
        "train", "--base", str(other), "--cpu", "--continue", "default", "--name", "c", folder=folder, **QUICK
    )
    assert "was made for the base base, and this is another one" in refusal(done.stderr)


def _no_permission(_folder: Path) -> dict[str, str]:
    return {"TRAINING_PERMISSION_CONFIRMED": "false"}


def _no_corpus(folder: Path) -> dict[str, str]:
    shutil.rmtree(folder / "data" / CORPORA / "default")
    return {}


def _empty_corpus(folder: Path) -> dict[str, str]:
    place = folder / "data" / CORPORA / "default"
    manifest = json.loads((place / MANIFEST).read_bytes())
    with Writer(place) as writer:
        writer.finish(manifest)
    return {}


def _changed_corpus(folder: Path) -> dict[str, str]:
    with (folder / "data" / CORPORA / "default" / "train.jsonl").open("ab") as file:
        file.write(b"{}\n")
    return {}


def _no_base(_folder: Path) -> dict[str, str]:
    return {"BASE_MODEL": "nobody/has-this-one"}


def _no_base_folder(_folder: Path) -> dict[str, str]:
    return {"BASE_MODEL": "./not-here"}


def _another_architecture(folder: Path) -> dict[str, str]:
    (folder / "base" / "config.json").write_text(
        json.dumps({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}), encoding="utf-8"
    )
    return {"BASE_MODEL": "base"}


def _weights_cut_short(folder: Path) -> dict[str, str]:
    weights = folder / "base" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    return {"BASE_MODEL": "base"}


def _too_little_memory(_folder: Path) -> dict[str, str]:
    return {"BASE_MODEL": "base", "BATCH_SIZE": "10000000", "GRADIENT_ACCUMULATION_STEPS": "1"}


def _two_sizes_of_a_step(_folder: Path) -> dict[str, str]:
    return {"BASE_MODEL": "base", "GRADIENT_ACCUMULATION_STEPS": "2", "TOKENS_PER_STEP": "8192"}


def _step_below_a_row(_folder: Path) -> dict[str, str]:
    return {"BASE_MODEL": "base", "TOKENS_PER_STEP": "512"}


def _longer_than_the_base_reads(_folder: Path) -> dict[str, str]:
    return {"BASE_MODEL": "base", "PACK_TOKENS": "2048"}


@pytest.mark.parametrize(
    ("spoil", "next_step"),
    [
        (_no_permission, "rule 21 of Discord's Developer Policy"),
        (_no_corpus, "run  sususbot build"),
        (_empty_corpus, "holds nothing: run  sususbot build  and read its report"),
        (_changed_corpus, "run  sususbot build  again"),
        (_no_base, "is not on this machine and the hub cannot be reached: connect this machine once"),
        (_no_base_folder, "there is no base model at ./not-here: correct BASE_MODEL"),
        (
            _another_architecture,
            "is a model of the kind gpt2, and only llama, mistral, qwen2, qwen3 can be trained here",
        ),
        (_weights_cut_short, "fetch it again"),
        (_too_little_memory, "close other programs, lower PACK_TOKENS"),
        (_two_sizes_of_a_step, "set one of the two"),
        (_step_below_a_row, "raise the one or lower the other"),
        (_longer_than_the_base_reads, "base reads 1024 tokens at most: set PACK_TOKENS=1024 or less"),
    ],
)
def test_what_can_be_wrong(folder: Path, spoil: Callable[[Path], dict[str, str]], next_step: str) -> None:
    settings = {**PERMITTED, "PACK_TOKENS": "1024", "HF_HUB_OFFLINE": "1", **spoil(folder)}
    done = run_here("train", "--cpu", folder=folder, **settings)
    assert done.returncode == 1
    assert next_step in refusal(done.stderr)


def test_without_a_card_it_says_what_the_processor_would_take(folder: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a card here")
    done = run_here("train", "--base", "base", folder=folder, **PERMITTED, PACK_TOKENS="1024")
    assert done.returncode == 1
    sentence = refusal(done.stderr)
    assert "or say  --cpu  (on the processor it takes at least" in sentence


def test_a_member_who_said_no_since_stops_it(folder: Path) -> None:
    """Their words are in the corpus; with the no the corpus goes, and a run that learned from them is stale."""
    author = next(iter(json.loads((folder / "data" / CORPORA / "default" / MANIFEST).read_bytes())["authors"]))
    shutil.copytree(folder / "data" / CORPORA / "default", folder / "kept")
    assert run_here("consent", "set", author, "--learn", "no", folder=folder).returncode == 0
    shutil.copytree(folder / "kept", folder / "data" / CORPORA / "default", dirs_exist_ok=True)
    done = run_here("train", "--base", "base", "--cpu", folder=folder, **PERMITTED)
    assert done.returncode == 1
    assert "sususbot build" in refusal(done.stderr)


@pytest.mark.parametrize(
    "arguments", [["../up"], ["--name", "a/b"], ["--continue", "x", "--resume"], ["--continue", "x", "--from-scratch"]]
)
def test_wrong_usage(folder: Path, arguments: list[str]) -> None:
    done = run_here("train", *arguments, folder=folder)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_what_may_change_when_a_run_goes_on(trained: Path) -> None:
    """A run that was killed early goes on with another learning rate, but not with another adapter."""
    folder = trained
    manifest = folder / "data" / RUNS / "default" / MANIFEST
    manifest.write_text(json.dumps({**json.loads(manifest.read_bytes()), "state": "training"}), encoding="utf-8")
    done = run_here("train", "--base", "base", "--cpu", "--resume", folder=folder, **{**QUICK, "LORA_RANK": "8"})
    assert "was begun with other settings (rank 16): set them back" in refusal(done.stderr)
    done = run_here(
        "train", "--base", "base", "--cpu", "--resume", folder=folder, **{**QUICK, "LEARNING_RATE": "0.001"}
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(manifest.read_bytes())["recipe"]["learning_rate"] == 0.001


def test_ctrl_c_saves_and_the_same_command_goes_on(folder: Path) -> None:
    """A base made here is stopped once it has begun; with --resume it is the same training."""
    command = ["train", "--from-scratch", "--size", "tiny", "--cpu", "--resume"]
    # Short steps, and more of them than are made before it is stopped.
    settings = {**QUICK, "EPOCHS": "50"}
    plan = json.loads(run_here(*command, "--plan", "--json", folder=folder, **settings).stdout)
    assert plan["base"] is None
    process = subprocess.Popen(
        [sys.executable, "-m", "sususbot", *command],
        cwd=folder,
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("before the first step:"):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "stopping after this step" in err
    stopped = re.match(r"stopped after step (\d+), all is saved; go on with the same command and  --resume", out)
    assert stopped is not None
    made = folder / "data" / RUNS / "default-base"
    assert json.loads((made / MANIFEST).read_bytes())["state"] == "stopped"
    assert (made / "checkpoints" / f"step-{int(stopped[1]):06d}" / "state.pt").is_file()


def test_a_base_made_here_goes_by_the_name_of_its_run(folder: Path) -> None:
    (folder / "data" / RUNS / "mine").mkdir(parents=True)
    shutil.move(folder / "base", folder / "data" / RUNS / "mine" / "model")
    done = run_here("train", "--base", "mine", "--cpu", "--plan", folder=folder, **QUICK)
    assert "the run mine does not say whose words its adapter learned" in refusal(done.stderr)
    (folder / "data" / RUNS / "mine" / MANIFEST).write_text(json.dumps({"authors": {}}), encoding="utf-8")
    done = run_here("train", "--base", "mine", "--cpu", "--plan", folder=folder, **QUICK)
    assert done.returncode == 0, done.stderr
    assert "mine/model (mistral, 2 layers)" in done.stderr
