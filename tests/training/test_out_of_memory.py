"""Memory that runs out, for real: the system gives a process no more, and the training goes on with less at once."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sususbot.errors import TooLittleMemory
from sususbot.training import checkpoints
from sususbot.training.metrics import rows
from sususbot.training.processes import Processes
from sususbot.training.recipe import Hardware, Recipe
from sususbot.training.train_lora import Data, Outcome, fit
from tests.training import killable, tiny
from tests.training.learning import RECIPE, documents, furthest, learner, published

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux")

MB = 1 << 20
# Wide layers: a token takes about 0.15 MB while a block is computed, 2048 of them 300 MB, 128 of them 20 MB.
WIDE = 4096
RECIPE_OF_ROWS = replace(RECIPE, pack_tokens=1024, rows=2, epochs=1, learning_rate=1e-3)
TWO_ROWS = Hardware(batch_rows=2)


LEARNED = Data(documents(24, 1, shortest=64, longest=128), documents(3, 2))
# Computed without gradients, one of them takes 100 MB still: well above what was freed while everything was loaded.
LONG = documents(4, 1, shortest=1800, longest=2000)


def train(
    run: Path,
    base: Path,
    hardware: Hardware,
    megabytes: int | None,
    some: Data = LEARNED,
    recipe: Recipe = RECIPE_OF_ROWS,
) -> Outcome:
    """With so much memory more than it has when everything is loaded."""
    one = learner(base, recipe, hardware)
    run.mkdir()
    if megabytes is not None:
        import resource

        taken = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + megabytes * MB, resource.RLIM_INFINITY))
    return fit(one, some, recipe, hardware, run, Processes(cpu=True))


def refused(run: Path, base: Path, some: Data) -> None:
    with pytest.raises(TooLittleMemory) as caught:
        train(run, base, TWO_ROWS, 40, some, replace(RECIPE_OF_ROWS, pack_tokens=2048))
    (run / "told").write_text(str(caught.value), encoding="utf-8")


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.base(
        tmp_path_factory.mktemp("wide"), hidden_size=32, intermediate_size=WIDE, max_position_embeddings=4096
    )


def notes(run: Path) -> list[str]:
    return [row["text"] for row in rows(run) if row["kind"] == "note"]


def test_less_at_once_gives_the_same_adapter(wide: Path, tmp_path: Path) -> None:
    killable.run(train, tmp_path / "free", wide, TWO_ROWS, None)
    for name, hardware in {"limited": TWO_ROWS, "kept": replace(TWO_ROWS, plain_layers=2)}.items():
        killable.run(train, tmp_path / name, wide, hardware, 130)
        assert furthest(published(tmp_path / name), published(tmp_path / "free")) < 1e-3
    assert notes(tmp_path / "free") == []
    fewer = "memory ran out: from now on 1024 tokens go through at once, as many a step as before"
    assert notes(tmp_path / "limited")[0] == fewer
    twice = "memory ran out: from now on all layers are computed twice instead of kept"
    assert notes(tmp_path / "kept")[:2] == [twice, fewer]


@pytest.mark.parametrize("some", [Data(LONG, []), Data(documents(4), LONG)], ids=["learning", "measuring"])
def test_where_nothing_fits_it_is_said(wide: Path, tmp_path: Path, some: Data) -> None:
    run = tmp_path / "run"
    killable.run(refused, run, wide, some)
    longest = max(map(len, LONG))
    told = (run / "told").read_text(encoding="utf-8")
    assert told.startswith(f"memory is too small even for one conversation of {longest} tokens (")
    assert told.endswith("close other programs, or lower SAMPLE_TOKENS and PACK_TOKENS and run  sususbot build  again")
    assert " tokens (tried to allocate " in told
    assert f"from now on {longest} tokens go through at once" in notes(run)[-1]
    assert (checkpoints.latest(run) is None) == bool(some.valid)
