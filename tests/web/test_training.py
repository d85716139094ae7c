"""Trainings from the page: started, seen to grow, stopped, gone on with, compared; what goes wrong is a sentence."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil  # type: ignore[import-untyped]
import pytest
import pytest_asyncio

from sususbot.archive.archive import Archive
from sususbot.archive.feedback import Rated
from sususbot.artifacts import RUNS
from sususbot.errors import RunExists, RunMissing, TrainingError
from sususbot.evaluation import store
from sususbot.evaluation.evaluation import Report
from sususbot.evaluation.figures import Figure, Section
from sususbot.settings import Settings
from sususbot.training.metrics import Measured, Metrics, Note, StepDone
from sususbot.web.curves import MOST_POINTS, Reading, thinned
from sususbot.web.runs import Run, bases, differences
from sususbot.web.training_wish import Wish, wish_to_resume
from sususbot.web.trainings import Trainings
from tests.archive.making import NOON
from tests.bot.running import until
from tests.support.commands import run_here
from tests.training import tiny
from tests.web.browsing import BROWSING, NARROW, Served, Visit, at_width, overflows, push, serving, write_community

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = BROWSING

# How long torch and its libraries may take to load where other tests want the cores, too; only a broken one waits.
LOADING_MS: Final = 120_000
# Many small steps: enough to be stopped in the middle of.
SLOW = {
    "TRAINING_PERMISSION_CONFIRMED": "true",
    "BASE_MODEL": "base",
    "EPOCHS": "200",
    "PATIENCE": "900",
    "TOKENS_PER_STEP": "256",
    "PACK_TOKENS": "256",
    "EVALS_PER_EPOCH": "1",
    # Threads that wait for each other are slower than one where other tests want the cores, too.
    "OMP_NUM_THREADS": "1",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample community with its corpus, and a tiny base."""
    folder = write_community(tmp_path_factory.mktemp("training"))
    assert run_here("build", folder=folder).returncode == 0
    tiny.base(folder / "base")
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def place(folder: Path) -> AsyncIterator[Served]:
    """Its own page; nothing that it started trains on when the tests are over, however they end."""
    async with serving(folder, **SLOW) as served:
        yield served
        for child in psutil.Process(served.process.pid).children():
            child.terminate()


@pytest_asyncio.fixture(loop_scope="session")
async def owner(browser: "Browser", place: Served) -> AsyncIterator[Visit]:
    visit = Visit(browser, place)
    yield visit
    await visit.close()


@pytest.fixture(scope="module")
def ended(folder: Path) -> Path:
    """Another run on disk."""
    write_run(folder / "data", "earlier", steps=1200, recipe={"rank": 8, "learning_rate": 0.001})
    return folder


def step(number: int, of: int, loss: float) -> StepDone:
    machine = {"vram_used_mb": 9000.0, "vram_total_mb": 11000.0, "celsius": 61.0}
    return StepDone(number, of, 1, loss, 2e-4, 0.5, 1.0, 0, 512, 900.0, 60.0, machine)


def write_run(data: Path, name: str, *, steps: int, **manifest: object) -> Path:
    """A finished run as a training leaves it."""
    run = data / RUNS / name
    run.mkdir(parents=True)
    facts = {
        "format": 1, "name": name, "kind": "lora", "state": "finished", "begun": "2026-11-01T10:00:00+00:00",
        "authors": {}, "corpus": {"name": "default"}, "base": {"name": "base"},
        "outcome": {"step": steps, "bits_per_byte": 1.5},
    }  # fmt: skip
    (run / "manifest.json").write_text(json.dumps({**facts, **manifest}), encoding="utf-8")
    metrics = Metrics(run)
    metrics.add(Measured(0, 2.5, best=True))
    for number in range(1, steps + 1):
        metrics.add(step(number, steps, 5 - 3 * number / steps))
    metrics.add(Measured(steps, 1.5, best=True))
    return run


async def steps_of(tab: "Page") -> int:
    text = await tab.locator('[data-figure="Step"]').text_content() or ""
    return int(text.split(" of ")[0].replace(",", "")) if " of " in text else 0


async def beyond(tab: "Page", step: int) -> None:
    """Wait until the run on the screen is further than this step."""
    await tab.wait_for_function(
        """(step) => parseInt(document.querySelector('[data-figure="Step"]').textContent.replace(",", "")) > step""",
        arg=step,
    )


async def test_a_training_is_started_seen_stopped_and_gone_on_with(owner: Visit, ended: Path) -> None:
    tab = await owner("/training")
    tab.set_default_timeout(LOADING_MS)
    await push(tab.get_by_role("button", name="Start a training"))
    await tab.get_by_label("Name of the run").fill("live")
    await push(tab.get_by_role("switch", name="On the processor"))
    await push(tab.get_by_role("button", name="Start", exact=True))
    row = tab.locator('tr[data-run="live"]')
    await row.get_by_text("training", exact=True).wait_for()
    await beyond(tab, 2)
    curve = tab.get_by_role("img", name="Loss by step")
    first = await curve.get_attribute("aria-label") or ""
    assert "live: " in first
    await beyond(tab, await steps_of(tab) + 2)
    assert await curve.get_attribute("aria-label") != first
    assert await curve.locator("canvas").count() == 1

    await push(row.get_by_role("button", name="Stop live"))
    await row.get_by_text("stopped", exact=True).wait_for()
    stopped = await steps_of(tab)
    assert json.loads((ended / "data" / RUNS / "live" / "manifest.json").read_bytes())["state"] == "stopped"
    # Another tab knows it, too, and one that was opened later.
    await tab.reload()
    await push(row.get_by_role("button", name="Resume live"))
    await row.get_by_text("training", exact=True).wait_for()
    await beyond(tab, stopped)
    await tab.locator('[data-log="training"]').get_by_text("bits per byte").first.wait_for()
    # As a page that was started anew in the meantime: it knows the process by what the run says of itself.
    other = Trainings(ended / "data", ended / ".env")
    await asyncio.to_thread(other.stop, "live")
    await row.get_by_text("stopped", exact=True).wait_for()


async def test_runs_are_compared(owner: Visit, ended: Path) -> None:
    tab = await owner("/training")
    # One run is shown at once, whichever is the newest; who wants to see none sees none.
    shown = tab.locator('[role="checkbox"][aria-checked="true"]')
    await push(shown)
    await tab.get_by_role("heading", name="No run is chosen").wait_for()
    write_run(ended / "data", "other", steps=30, recipe={"rank": 16, "learning_rate": 0.001})
    await tab.locator('tr[data-run="other"]').wait_for()
    assert await shown.count() == 0
    curves = tab.get_by_role("img", name="Loss by step")
    for name in ("earlier", "other"):
        await push(tab.get_by_role("checkbox", name=f"Show {name}"))
        await curves.and_(tab.get_by_label(f"{name}: ")).wait_for()
    different = tab.get_by_role("region", name="Differences of the recipes")
    await different.get_by_text("rank").wait_for()
    told = await different.text_content() or ""
    assert "8" in told
    assert "16" in told
    assert "learning_rate" not in told
    loss = await curves.get_attribute("aria-label") or ""
    assert "earlier: 400 points, from 4.995 to 2.00" in loss
    assert "other: 30 points" in loss
    assert await tab.locator('[data-figure="Heat"]').text_content() == "61 °C"
    await push(tab.get_by_text("The same as a table"))
    await tab.get_by_role("region", name="Curves of the chosen runs").get_by_text("1,200").wait_for()
    await at_width(tab, NARROW)
    assert not await overflows(tab)


async def test_an_evaluation_is_shown_and_runs_nothing(owner: Visit, ended: Path) -> None:
    page = "<h1>How good it is</h1><script>parent.document.title = 'broken'</script>"
    section = Section("relevance", {"accuracy": Figure(0.87, 0.8, 0.9, 200)})
    report = Report(
        "winter", "2026-11-20T10:00:00+00:00", "a machine", "sususbot", 0, {"name": "default"}, None, (), {},
        {"base+live": {"relevance": section}},
    )  # fmt: skip
    store.keep(ended / "data", report, (page, page), [])
    tab = await owner("/training", width=NARROW)
    await tab.get_by_role("region", name="Evaluations").get_by_text("accuracy 0.87").wait_for()
    await push(tab.get_by_role("button", name="Show evaluation winter"))
    frame = tab.frame_locator('iframe[title="Evaluation winter"]')
    await frame.get_by_role("heading", name="How good it is").wait_for()
    assert await tab.title() == "Training · sususbot"
    assert not await overflows(tab)
    # The browser itself tells, as an error, that it held a script back.
    held_back = [fault for fault in owner.faults if "sandboxed" in fault]
    assert held_back
    owner.faults[:] = [fault for fault in owner.faults if fault not in held_back]


async def test_what_cannot_begin_is_told(tmp_path: Path) -> None:
    trainings = Trainings(tmp_path / "data", tmp_path / ".env")
    with pytest.raises(TrainingError, match="cannot be the name of a run"):
        trainings.start(Wish("../elsewhere", "default"))
    for name in ("CON", "nul.txt", "trail.", "trail ", "x" * 65):
        with pytest.raises(TrainingError, match="the name of a run"):
            trainings.start(Wish(name, "default"))
    # Of letters that take four bytes each, fewer can be stored.
    with pytest.raises(TrainingError, match="cannot be started "):
        trainings.start(Wish("\U00020000" * 64, "default"))
    with pytest.raises(RunMissing, match="is not training"):
        trainings.stop("nobody")
    trainings.start(Wish("x", "nothing", cpu=True))
    await until(lambda: trainings.how(None, "x") != "starting", 60)
    assert trainings.how(None, "x") == "failed"
    assert "there is no finished corpus in" in trainings.said("x")[-1]
    begins, lines = trainings.plan(Wish("x", "nothing", cpu=True))
    assert not begins
    assert "there is no finished corpus in" in lines[-1]
    assert not (tmp_path / "data" / RUNS).exists()


async def test_a_run_that_was_killed_is_broken_off(tmp_path: Path) -> None:
    """Its process is gone, or its number belongs to another one that began later."""
    trainings = Trainings(tmp_path, tmp_path / ".env")
    for process in (None, 2**22 + 1, 1):
        run = Run("x", {"state": "training", "process": process, "begun": "1970-01-01T00:00:00+00:00"})
        assert trainings.how(run, "x") == "broken off"


async def test_a_run_goes_on_by_the_recipe_it_began_with() -> None:
    recipe = {"rank": 8, "epochs": 2, "pack_tokens": 512, "rows": 3, "seed": 4}
    corpus = {"name": "winter"}
    facts = {"kind": "lora", "recipe": recipe, "corpus": corpus, "base": {"name": "b"}, "hardware": {}}
    wish = wish_to_resume(Run("a", {**facts, "measured": True}), Settings())
    assert wish.arguments() == ["--name=a", "--base=b", "--resume", "--eval", "--", "winter"]
    wish = wish_to_resume(Run("a", {**facts, "measured": False}), Settings())
    assert wish.arguments() == ["--name=a", "--base=b", "--resume", "--", "winter"]
    assert wish.settings == {
        "LORA_RANK": "8", "EPOCHS": "2", "PACK_TOKENS": "512", "TOKENS_PER_STEP": "1536", "TRAIN_SEED": "4",
    }  # fmt: skip
    base = Run("b", {"kind": "base", "size": "tiny", "recipe": recipe, "corpus": corpus, "hardware": {"device": "cpu"}})
    wish = wish_to_resume(base, Settings())
    assert wish.arguments() == ["--name=b", "--from-scratch", "--size=tiny", "--cpu", "--resume", "--", "winter"]


async def test_a_curve_is_read_on_and_begun_anew(tmp_path: Path) -> None:
    metrics, reading = Metrics(tmp_path), Reading(tmp_path)
    assert reading.look().loss == []
    for number in (1, 2, 3):
        metrics.add(step(number, 9, 5.0 - number))
    metrics.add(Note(3, "a sentence"))
    curve = reading.look()
    assert curve.loss == [(1, 4.0), (2, 3.0), (3, 2.0)]
    assert (curve.notes, curve.vram_mb[0]) == (["a sentence"], (1, 9000.0))
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"kind": "measured", "step": 3, "bits_p')
        file.flush()
        assert reading.look().best is None
        file.write(b'er_byte": 1.25}\n{"kind": "step", "step": 4, "loss": null}\n')
    assert reading.look().best == 1.25
    assert len(reading.look().loss) == 3
    # Gone on with from step 2: what came after is done again, and longer than before.
    metrics.rewind(2)
    for number in range(3, 40):
        metrics.add(step(number, 40, 1.0))
    assert reading.look().loss[:3] == [(1, 4.0), (2, 3.0), (3, 1.0)]
    assert len(reading.look().loss) == 39


async def test_a_long_curve_is_thinned_and_keeps_its_shape() -> None:
    points = [(number, float(number % 2)) for number in range(1, 4001)]
    few = thinned(points)
    assert len(few) == MOST_POINTS
    assert few[-1][0] == 4000
    assert {value for _, value in few} == {0.5}
    assert thinned(points[:10]) == points[:10]


async def test_what_differs_between_runs(tmp_path: Path) -> None:
    one, other = (Run(name, {"recipe": {"rank": rank, "epochs": 3}}) for name, rank in (("a", 8), ("b", 16)))
    assert differences([one, other]) == [("rank", ["8", "16"])]
    write_run(tmp_path, "made", steps=1)
    shutil.copytree(tmp_path / RUNS / "made", tmp_path / RUNS / "made" / "model")
    (tmp_path / RUNS / "made" / "model" / "config.json").write_text("{}", encoding="utf-8")
    assert bases(tmp_path, "named") == ["named", "made"]


async def test_what_comes_after_the_last_step_is_told_apart(tmp_path: Path) -> None:
    """A run that is finished while its process lives is measured; what came of that, the run itself says."""
    assert Wish("x", "c", measured=True).arguments() == ["--name=x", "--eval", "--", "c"]
    trainings = Trainings(tmp_path / "data", tmp_path / ".env")
    finished = Run("x", {"state": "finished"})
    assert trainings.how(finished, "x") == "finished"
    trainings.start(Wish("x", "nothing", measured=True))
    assert trainings.how(None, "x") == "starting"
    assert trainings.how(finished, "x") == "measuring"
    await until(lambda: trainings.how(finished, "x") != "measuring", 60)
    # Every refusal of a command ends with the same code.
    assert trainings.how(finished, "x") == "finished"
    assert trainings.how(Run("x", {"state": "stopped"}), "x") == "failed"
    for other in (trainings, Trainings(tmp_path / "data", tmp_path / ".env")):
        for verdict, how in (("refused", "refused"), ("allowed", "finished"), (None, "not measured")):
            measured = Run("x", {"state": "finished", "measured": True, "verdict": verdict, "process": None})
            assert other.how(measured, "x") == how
        now = {"state": "finished", "measured": True, "process": os.getpid(), "changed": datetime.now(UTC).isoformat()}
        assert other.how(Run("x", now), "x") == "measuring"


async def test_a_run_is_not_begun_over_another(tmp_path: Path) -> None:
    write_run(tmp_path, "winter", steps=1)
    trainings = Trainings(tmp_path, tmp_path / ".env")
    log = trainings.log_of("winter")
    log.parent.mkdir(parents=True)
    log.write_text("what it said", encoding="utf-8")
    with pytest.raises(RunExists, match="there is a run winter already"):
        trainings.start(Wish("winter", "default"))
    assert log.read_text(encoding="utf-8") == "what it said"
    assert trainings.begun_here() == []


async def test_an_odd_manifest_leaves_the_page_as_it_is(owner: Visit, ended: Path) -> None:
    """And thumbs stand with the run whose adapter got them."""
    with Archive(ended / "data") as archive:
        archive.feedback.put(Rated(NOON, 1, "who?", "me", "transformers", "odd"))
        archive.feedback.put(Rated(NOON + 1, -1, "who?", "you", "transformers", "odd"))
    odd: dict[str, object] = {"outcome": {"step": "7", "bits_per_byte": []}, "base": 3, "corpus": [], "hardware": "new"}
    runs = [write_run(ended / "data", "odd", steps=3, **odd), write_run(ended / "data", 'o"d', steps=0, outcome=[9])]
    (runs[0] / "metrics.jsonl").write_text(
        '[1]\n{"kind": "step", "step": "x"}\n{"kind": "step", "machine": 3}\n', encoding="utf-8"
    )
    tab = await owner("/training")
    await tab.locator('tr[data-run="odd"]').get_by_text("1 up, 1 down").wait_for()
    box = tab.get_by_role("checkbox", name="Show odd")
    await tab.locator('[role="checkbox"][aria-checked="true"]').first.wait_for()
    if await box.get_attribute("aria-checked") != "true":
        await push(box)
    await tab.get_by_role("heading", name="odd: finished").wait_for()
    assert await tab.locator("tr[data-run]").count() >= 2
    for run in runs:
        shutil.rmtree(run)
