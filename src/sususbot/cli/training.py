"""`sususbot train`: a corpus to an adapter, or to a small base of its own.

Plan, checks and loop are `training/jobs`; here are options, the bar, Ctrl-C, and `eval` at the end.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sususbot.cli.main import Place
from sususbot.cli.output import Bar, bar, print_json, say, working

if TYPE_CHECKING:
    from sususbot.corpus.manifest import Corpus
    from sususbot.settings import Settings
    from sususbot.training.jobs import How
    from sususbot.training.metrics import Event
    from sususbot.training.train_lora import Outcome

_DEFAULT: Final = "default"
_MINUTE: Final = 60
_HOUR: Final = 3600
# What EVAL_… in the settings is about;  sususbot eval  measures more.
_JUDGED_BY: Final = ("relevance", "language", "voice", "leakage")


@click.command("train", epilog="Example:  sususbot train --name winter")
@click.argument("corpus_name", metavar="[CORPUS]", default=_DEFAULT)
@click.option("--name", help="The run's folder in runs/.  [default: the corpus's name]")
@click.option(
    "--base", "base_name", help="The base: hub name, folder, or a run of --from-scratch.  [default: BASE_MODEL]"
)
@click.option("--resume", is_flag=True, help="Go on from the run's last checkpoint; without one, begin.")
@click.option("--continue", "earlier", metavar="RUN", help="Let a finished run's adapter learn what came since.")
@click.option("--from-scratch", is_flag=True, help="Make a small base and its tokenizer from the corpus alone.")
@click.option(
    "--size", type=click.Choice(["tiny", "small", "medium"]), default="small", show_default=True,
    help="--from-scratch: how large.",
)  # fmt: skip
@click.option("--cpu", is_flag=True, help="Train on the processor: right for small bases, far too slow for 7B.")
@click.option(
    "--eval", "measured", is_flag=True, help="Measure the adapter at the end; fail where it is worse than EVAL_… allow."
)
@click.option("--plan", "plan_only", is_flag=True, help="Check everything, say what it would take, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
@click.pass_obj
def train(
    place: Place,
    corpus_name: str,
    name: str | None,
    base_name: str | None,
    resume: bool,
    earlier: str | None,
    from_scratch: bool,
    size: str,
    cpu: bool,
    measured: bool,
    plan_only: bool,
    as_json: bool,
) -> None:
    """Train a LoRA adapter on the corpus CORPUS (made by `sususbot build`).

    Ctrl-C saves and ends after the step at hand; --resume goes on. The best adapter so far is always in
    runs/NAME/adapter. Many cards:  torchrun --nproc-per-node 2 -m sususbot train
    """
    from sususbot.artifacts import CORPORA, RUNS, is_name
    from sususbot.cli.folder import load_settings
    from sususbot.errors import MissingExtra

    for given in (corpus_name, name, earlier):
        if given is not None and not is_name(given):
            raise click.UsageError(
                f"a name of a folder is wanted, not a path, and one that Windows can store, too: {given}"
            )
    if earlier is not None and (resume or from_scratch):
        raise click.UsageError("--continue begins a new run: it goes neither with --resume nor with --from-scratch")
    if measured and from_scratch:
        raise click.UsageError("--eval measures an adapter against its base, and --from-scratch makes a base")
    settings = load_settings(place)
    corpus = _permitted(place, settings, place.data / CORPORA / corpus_name)
    if measured:
        _check_apart(place, corpus)
    try:
        from sususbot.training import jobs, layout
    except ImportError as error:
        raise MissingExtra("training", "train") from error
    run = place.data / RUNS / (name or (f"{corpus_name}-base" if from_scratch else corpus_name))
    base_name = _base(place, base_name or settings.base_model)
    speaks = layout.first_process()
    if resume and (outcome := jobs.finished(run)) is not None:
        say(f"the run {run.name} is finished already; to learn what came since:  --continue {run.name} --name NEW")
        _end(place, settings, corpus, run, outcome, from_scratch=from_scratch, as_json=as_json, measured=measured)
        return
    if resume:
        earlier = jobs.went_on_from(run)
    with working("looking at base and card"):
        if from_scratch:
            plan = layout.plan_base(corpus, settings, size, cpu=cpu)
        else:
            _check_base(place, base_name)
            plan = layout.plan_adapter(corpus, settings, base_name, cpu=cpu)
    if speaks:
        for line in plan.lines:
            say(line)
    if plan_only:
        if as_json:
            print_json(plan.as_json())
        return
    with stoppable() as stop, bar(f"training {run.name}", quiet=as_json or not speaks) as progress:
        how = jobs.How(
            plan.recipe, plan.hardware, resume, settings.checkpoint_minutes, _shown(progress, quiet=not speaks), stop,
            plan.watch, measured,
        )  # fmt: skip
        outcome = _train(corpus, run, plan, how, size, place.data / RUNS / earlier if earlier else None)
    if speaks:
        _end(place, settings, corpus, run, outcome, from_scratch=from_scratch, as_json=as_json, measured=measured)


def _train(corpus: "Corpus", run: Path, plan: Any, how: "How", size: str, earlier: Path | None) -> "Outcome":
    from sususbot.training import jobs

    if plan.base is None:
        texts, kept_apart = jobs.corpus_texts(corpus)
        facts = {"name": corpus.manifest["name"], "files": corpus.manifest["files"]}
        until = max(turn.at for sample in corpus.train() for turn in sample.turns)
        return jobs.train_base(
            texts, kept_apart, run, how, size=size, authors=corpus.authors, corpus=facts, learned_until=until
        )
    before = jobs.earlier(earlier, plan.base, plan.recipe) if earlier is not None else None
    return jobs.train_adapter(corpus, plan.base, run, how, before=before)


def _permitted(place: Place, settings: "Settings", folder: Path) -> "Corpus":
    """The corpus, by rule 21, and where everybody in it still agrees; nothing is trained otherwise."""
    from sususbot.cli.folder import open_archive
    from sususbot.corpus.manifest import load
    from sususbot.training import permission

    # Opening the archive takes away what is to go, so a corpus that is there still may be read.
    with open_archive(place) as archive:
        corpus = load(folder)
        permission.check(corpus.origins, confirmed=settings.training_permission_confirmed)
        permission.check_authors(corpus.authors, archive.consents)
    return corpus


def _check_apart(place: Place, corpus: "Corpus") -> None:
    """What cannot be measured in the morning is told in the evening."""
    from importlib.util import find_spec

    from sususbot.cli.folder import open_archive
    from sususbot.errors import MissingExtra, NothingHeldOut
    from sususbot.evaluation.heldout import FEWEST, exchanges

    if find_spec("sklearn") is None:
        raise MissingExtra("--eval", "eval")
    if not corpus.manifest["files"]["valid.jsonl"]["samples"]:
        raise NothingHeldOut(
            f"the corpus {corpus.folder.name} keeps nothing apart to measure on: set VALID_SHARE above 0 and run  "
            "sususbot build  again, or leave --eval away"
        )
    with open_archive(place) as archive:
        try:
            exchanges(corpus, archive, limit=FEWEST, seed=0)
        except NothingHeldOut as error:
            raise NothingHeldOut(f"{error}; or leave --eval away") from error


def _base(place: Place, name: str) -> str:
    """The base of that name: one made here goes by its run's."""
    from sususbot.artifacts import RUNS
    from sususbot.training.run_folder import MODEL

    made_here = place.data / RUNS / name / MODEL
    return str(made_here) if Path(name).name == name and made_here.is_dir() else name


def _check_base(place: Place, name: str) -> None:
    """A base made here learned from members, too."""
    from sususbot.cli.folder import open_archive
    from sususbot.errors import AdapterStale
    from sususbot.training import runs

    run = runs.run_of(Path(name).expanduser(), place.data)
    if run is None:
        return
    with open_archive(place) as archive:
        complaint = runs.complaint(run, archive.consents)
    if complaint is not None:
        raise AdapterStale(complaint)


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Ctrl-C, and the end of a service, are wishes to stop; a second one stops at once."""
    wished: list[int] = []

    def wish(number: int, _frame: object) -> None:
        if wished:
            raise KeyboardInterrupt
        wished.append(number)
        # Straight to the system: Python's own stream may be in the middle of a line.
        os.write(2, b"\nstopping after this step; once more stops at once (then the last checkpoint counts)\n")

    names = [name for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), wish) for name in names}
    try:
        yield lambda: bool(wished)
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


# -- what is said


def _shown(progress: Bar, *, quiet: bool) -> "Callable[[Event], None]":
    from sususbot.training.metrics import Measured, Note, StepDone

    last: dict[str, float] = {}

    def show(event: "Event") -> None:
        if quiet:
            return
        if isinstance(event, StepDone):
            progress.update(event.step, event.of, _line(event, last.get("bits")))
        elif isinstance(event, Measured):
            last["bits"] = event.bits_per_byte
            when = f"step {event.step:,}" if event.step else "before the first step"
            best = ", the best so far" if event.best and event.step else ""
            say(f"{when}: {event.bits_per_byte:.4f} bits per byte on what was kept apart{best}")
        elif isinstance(event, Note):
            say(event.text)

    return show


def _line(event: Any, bits: float | None) -> str:
    parts = [f"step {event.step:,} of {event.of:,}", f"loss {event.loss:.3f}"]
    parts += [] if bits is None else [f"kept apart {bits:.3f}"]
    parts += [f"{event.tokens_per_s:,.0f} tokens/s"]
    used, total = event.machine.get("vram_used_mb"), event.machine.get("vram_total_mb")
    parts += [] if used is None or total is None else [f"{used / 1000:.1f} of {total / 1000:.0f} GB"]
    heat = event.machine.get("celsius")
    parts += [] if heat is None else [f"{heat:.0f} °C"]
    parts += [f"{event.skipped} skipped"] * bool(event.skipped)
    return " · ".join([*parts, f"{duration(event.seconds_left)} left"])


def duration(seconds: float) -> str:
    """Seconds in words as short as they are exact enough."""
    if seconds >= _HOUR:
        return f"{seconds / _HOUR:.1f} h"
    return f"{seconds / _MINUTE:.0f} min" if seconds >= 2 * _MINUTE else f"{seconds:.0f} s"


def _end(
    place: Place,
    settings: "Settings",
    corpus: "Corpus",
    run: Path,
    outcome: "Outcome",
    *,
    from_scratch: bool,
    as_json: bool,
    measured: bool,
) -> None:
    """Says what came out, and measures it where that is asked for, or agreed to. Raises EvaluationError."""
    from sususbot.errors import EvaluationError

    whole = not from_scratch and not outcome.stopped
    if not as_json:
        _report(run, outcome, from_scratch=from_scratch)
    if whole and (measured or (not as_json and _agreed(run, corpus))):
        _judge(place, settings, corpus, run, outcome, as_json=as_json)
    elif as_json:
        print_json({"run": str(run), **outcome._asdict()})
    if measured and outcome.stopped:
        raise EvaluationError(f"the run {run.name} was not measured, as it was stopped: go on with --resume")


def _agreed(run: Path, corpus: "Corpus") -> bool:
    """Asks on a terminal; elsewhere it says how to."""
    if not corpus.manifest["files"]["valid.jsonl"]["samples"]:
        return False
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        say(f"how good it is:  sususbot eval run:{run.name} base")
        return False
    return click.confirm("measure how good it is now?", default=True, err=True)


def _judge(
    place: Place, settings: "Settings", corpus: "Corpus", run: Path, outcome: "Outcome", *, as_json: bool
) -> None:
    """Measures it, and leaves in the run what came out of that: who looks at it later knows no exit code."""
    from sususbot.errors import BelowThreshold
    from sususbot.training import run_folder

    run_folder.note(run, measured=True, verdict=None, process=os.getpid())
    try:
        _measure(place, settings, corpus, run, outcome, as_json=as_json)
    except BelowThreshold:
        run_folder.note(run, verdict="refused")
        raise
    run_folder.note(run, verdict="allowed")


def _measure(
    place: Place, settings: "Settings", corpus: "Corpus", run: Path, outcome: "Outcome", *, as_json: bool
) -> None:
    """Raises BelowThreshold where it is worse than the settings allow; report and adapter stay."""
    from sususbot.cli import evaluating
    from sususbot.cli.exporting import run_to_gguf
    from sususbot.evaluation.store import free_name

    _free_card()
    if settings.backend == "llamacpp":
        run_to_gguf(place, run.name)
    wanted = evaluating.Wanted(
        (f"run:{run.name}", "base"),
        measures=_JUDGED_BY,
        corpus=corpus.folder.name,
        name=free_name(place.data, run.name),
        quiet=as_json,
    )
    report = evaluating.measure(place, wanted)
    if as_json:
        print_json({"run": str(run), **outcome._asdict(), "evaluation": report.as_json()})
    else:
        evaluating.show(place, report, as_json=False)
    evaluating.judge(place, report)


def _free_card() -> None:
    """What a training leaves on the card is not there for the models that are measured."""
    import gc

    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _report(run: Path, outcome: "Outcome", *, from_scratch: bool) -> None:
    if outcome.stopped:
        click.echo(f"stopped after step {outcome.step:,}, all is saved; go on with the same command and  --resume")
    else:
        what = "base" if from_scratch else "adapter"
        click.echo(f"{what} of step {outcome.best_step:,} in {run / ('model' if from_scratch else 'adapter')}")
        if outcome.bits_per_byte is not None and outcome.bits_per_byte_before:
            drop = 1 - outcome.bits_per_byte / outcome.bits_per_byte_before
            click.echo(
                f"kept apart: {outcome.bits_per_byte_before:.3f} bits per byte before, {outcome.bits_per_byte:.3f} "
                f"now ({drop:.1%} less); the curve is in {run / 'learning_curve.png'}"
            )
        if outcome.skipped:
            click.echo(f"{outcome.skipped} steps were skipped, as half precision overflowed in them")
        say(f"next:  sususbot export {run.name}")
