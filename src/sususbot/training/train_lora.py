"""The training loop, from the first step to the adapter.

    for each step:  bins → micro-batches → loss of each → gradients added up → clipped → AdamW
                    now and then: measured on what was kept apart; a checkpoint; enough?

It trains whatever weights its `Learner` names: an adapter, or all of a small base. A step's loss is divided by the
weight of all that the step learns, so that it does not matter how it is cut into micro-batches, nor on how many cards.

**Going on.** All that a step depends on is its number, the weights and the optimiser's state; so a run that was killed
goes on from its last checkpoint to the same weights, bit by bit on a processor. Random numbers (dropout) are drawn
anew for each step from the recipe's seed and the step's number.
**fp16.** Gradients are scaled; a step whose gradients are no numbers is skipped, counted, and does not move the
learning rate on. Too many in a row end the run, with its last checkpoint whole.
**Out of memory.** The step is done again with fewer tokens at once; what a step is made of stays.
Long because there is one loop for everything that is trained, and it is to be read from top to bottom; variation goes
into `Recipe` and `Learner`, never into a second loop.
"""

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from sususbot.errors import TooLittleMemory, TrainingDiverged
from sususbot.training import checkpoints
from sususbot.training.base import DTYPES, checkpointed
from sususbot.training.batches import Batch, Steps, batch, micro_batches, pack
from sususbot.training.disk import writing
from sususbot.training.documents import Document
from sususbot.training.hardware import is_out_of_memory
from sususbot.training.loss import weighted_nats
from sususbot.training.metrics import Measured, Metrics, Note, Report, StepDone
from sususbot.training.processes import Processes
from sususbot.training.recipe import Hardware, Recipe

# So many steps in a row without a usable gradient mean that no more will come.
_TOO_MANY_SKIPPED: Final = 8
# Smaller gains than this are noise, in bits per byte.
_BETTER: Final = 1e-4
_FIRST_SCALE: Final = 2.0**14
# Of what torch says when memory runs out, what its owner can use.
_ASKED: Final = re.compile(r"tried to allocate [\d.]+ \w+", re.IGNORECASE)

# Tokens a second -> figures of the card, and a sentence where something is wrong with it.
Machine = Callable[[float], tuple[Mapping[str, float | None], str | None]]


class Trainee(torch.nn.Module):
    """A causal model as its loss: a batch in, the sum of weight × nats out."""

    def __init__(self, model: torch.nn.Module, hardware: Hardware) -> None:
        super().__init__()
        self.model = model
        causal: Any = model.get_base_model() if hasattr(model, "get_base_model") else model  # type: ignore[operator]
        # A tuple, so that they are not registered a second time.
        self._parts = (causal.get_decoder(), causal.get_output_embeddings())
        self._hardware = hardware

    def forward(self, batch: Batch) -> torch.Tensor:
        decoder, head = self._parts
        precision = self._hardware.precision
        with torch.autocast(batch.ids.device.type, DTYPES[precision], enabled=precision != "fp32", cache_enabled=True):
            # Never a mask, never a cache: transformers would silently let documents see each other.
            states = decoder(
                input_ids=batch.ids, position_ids=batch.positions, use_cache=False, lengths=batch.lengths
            ).last_hidden_state
            return weighted_nats(states[0], head, batch.targets, batch.weights)


@dataclass(frozen=True, slots=True)
class Learner:
    """What is trained: the model, and how its weights become something to use (`publish(folder)`)."""

    model: torch.nn.Module
    publish: Callable[[Path], None]

    def weights(self) -> dict[str, torch.nn.Parameter]:
        """Those that learn, by name."""
        return {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}


@dataclass(frozen=True, slots=True)
class Data:
    """What is learned, and what was kept apart to measure on."""

    train: Sequence[Document]
    valid: Sequence[Document]


class Outcome(NamedTuple):
    """How a training ended: `stopped` by its owner (else at its end), after how many steps, and how good.

    Bits per byte before the first step and at the best one; None where nothing was kept apart.
    """

    stopped: bool
    step: int
    best_step: int
    bits_per_byte_before: float | None
    bits_per_byte: float | None
    skipped: int


@dataclass(slots=True)
class _Progress:
    """Where a training is; all of it goes into a checkpoint. `taken` are the steps that were not skipped."""

    step: int = 0
    taken: int = 0
    skipped: int = 0
    skipped_in_a_row: int = 0
    best_step: int = 0
    best_bits: float = math.inf
    bits_before: float | None = None
    since_best: int = 0
    micro_tokens: int = 0
    plain_layers: int = 0


def fit(
    learner: Learner,
    data: Data,
    recipe: Recipe,
    hardware: Hardware,
    run: Path,
    processes: Processes,
    *,
    report: Report = lambda _event: None,
    resume: bool = False,
    checkpoint_minutes: float = 10.0,
    stop: Callable[[], bool] = lambda: False,
    machine: Machine = lambda _tokens_per_s: ({}, None),
) -> Outcome:
    """Train until it gets no better, or to the last step; the best weights are published in the end.

    Raises TrainingDiverged, TooLittleMemory, TooLittleDisk; what the last checkpoint holds stays. With `resume`, goes
    on from it. `stop` is asked after each step. `machine` is told the pace of each step, and gives figures for its row
    and, where something is wrong, a sentence.
    """
    return _Loop(learner, data, recipe, hardware, run, processes, report, stop, machine).run(
        resume=resume, checkpoint_seconds=checkpoint_minutes * 60
    )


class _Loop:
    def __init__(
        self,
        learner: Learner,
        data: Data,
        recipe: Recipe,
        hardware: Hardware,
        run: Path,
        processes: Processes,
        report: Report,
        stop: Callable[[], bool],
        machine: Machine,
    ) -> None:
        self._learner = learner
        self._data = data
        self._recipe = recipe
        self._hardware = hardware
        self._run = run
        self._processes = processes
        self._told = report
        self._stop = stop
        self._machine = machine
        self._weights = learner.weights()
        self._steps = Steps(data.train, recipe)
        self._optimizer = torch.optim.AdamW(
            self._weights.values(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        device = processes.device
        self._scaler = torch.amp.GradScaler(device.type, init_scale=_FIRST_SCALE, enabled=hardware.precision == "fp16")
        self._trainee = Trainee(learner.model, hardware)
        self._module = processes.together(self._trainee)
        self._metrics = Metrics(run)
        # Steps of checkpoints: the last one, and the last one whose weights are known to give usable gradients.
        self._saved: int | None = None
        self._good: int | None = None
        # The step whose weights were published last.
        self._published: int | None = None
        self._at = _Progress(micro_tokens=hardware.batch_rows * recipe.pack_tokens, plain_layers=hardware.plain_layers)
        self._measure_after = {
            (sum(self._steps.per_epoch[:epoch]) + round(size * part / recipe.evals_per_epoch))
            for epoch, size in enumerate(self._steps.per_epoch)
            for part in range(1, recipe.evals_per_epoch + 1)
        }

    # -- the whole

    def run(self, *, resume: bool, checkpoint_seconds: float) -> Outcome:
        checkpoint = checkpoints.latest(self._run) if resume else None
        if checkpoint is not None:
            self._go_on(checkpoint)
        checkpointed(self._learner.model, self._at.plain_layers)
        if checkpoint is None:
            if self._processes.first:
                self._metrics.begin()
            self._measure()
            self._at.bits_before = self._at.best_bits if self._data.valid else None
            self._save()
        begun, saved_at, first = time.monotonic(), time.monotonic(), self._at.step
        while self._at.step < self._steps.total and not self._good_enough():
            self._one_step(begun, first)
            if self._at.step in self._measure_after:
                self._measure()
                self._save()
                saved_at = time.monotonic()
                if self._at.best_step == self._at.step:
                    self._publish()
            stopped, due = self._agreed(self._stop(), time.monotonic() - saved_at > checkpoint_seconds)
            if stopped:
                self._save()
                return self._outcome(stopped=True)
            if due:
                self._save()
                saved_at = time.monotonic()
        self._finish()
        return self._outcome(stopped=False)

    def _good_enough(self) -> bool:
        """Measured often enough without getting better."""
        return bool(self._data.valid) and self._at.since_best >= self._recipe.patience

    def _agreed(self, *wishes: bool) -> list[bool]:
        # All processes or none: one that did something alone would keep the others waiting.
        return [bool(votes) for votes in self._processes.total([float(wish) for wish in wishes])]

    def _outcome(self, *, stopped: bool) -> Outcome:
        best = self._at.best_bits if self._data.valid else None
        return Outcome(stopped, self._at.step, self._at.best_step, self._at.bits_before, best, self._at.skipped)

    # -- one step

    def _one_step(self, begun: float, first: int) -> None:
        started = time.monotonic()
        at = self._at
        bins = self._steps[at.step]
        rate = self._rate(at.taken)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        tokens = sum(len(self._data.train[place]) for places in bins for place in places)
        nats, weight = self._gradients(bins)
        norm = self._update(weight)
        at.step += 1
        seconds = max(time.monotonic() - started, 1e-9)
        figures, complaint = self._machine(tokens / seconds)
        pace = (time.monotonic() - begun) / (at.step - first)
        self._tell(
            StepDone(
                step=at.step,
                of=self._steps.total,
                epoch=self._steps.place(at.step - 1)[0] + 1,
                loss=nats / weight if weight else 0.0,
                learning_rate=rate,
                gradient_norm=norm,
                scale=self._scaler.get_scale(),
                skipped=at.skipped,
                tokens=tokens,
                tokens_per_s=tokens / seconds,
                seconds_left=pace * (self._steps.total - at.step),
                machine=figures,
            )
        )
        if complaint is not None:
            self._tell(Note(at.step, complaint))
        if at.skipped_in_a_row >= _TOO_MANY_SKIPPED:
            raise self._diverged(f"{at.skipped_in_a_row} steps in a row gave gradients that are no numbers")

    def _diverged(self, why: str) -> TrainingDiverged:
        if self._good is not None and self._processes.first:
            # Later ones hold the weights that give no numbers.
            checkpoints.take_back(self._run, self._good, {self._at.best_step} if self._data.valid else ())
        return TrainingDiverged(
            f"{why}: lower LEARNING_RATE (it is {self._recipe.learning_rate:g}) and go on from the last good "
            "checkpoint with  --resume"
        )

    def _gradients(self, bins: Sequence[tuple[int, ...]]) -> tuple[float, float]:
        """Leaves the step's gradients on the weights; gives the sum of weight × nats, and of the weights."""
        weight = float(sum(self._data.train[place].weights.sum() for places in bins for place in places))
        return self._with_room(lambda: self._try_gradients(bins, weight)), weight

    def _with_room(self, work: Callable[[], float]) -> float:
        """Done again, with fewer tokens at once, for as long as memory is too small for it."""
        while True:
            try:
                return work()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                asked = _ASKED.search(str(error))
                failed = asked[0].lower() if asked is not None else type(error).__name__
            # Outside of `except`: an error on its way holds every tensor of the step.
            self._shrink(failed)

    def _try_gradients(self, bins: Sequence[tuple[int, ...]], weight: float) -> float:
        self._optimizer.zero_grad(set_to_none=True)
        torch.manual_seed(hash((self._recipe.seed, self._at.step, self._processes.index)) % 2**63)
        self._module.train()
        own = self._processes.share(bins)
        groups = list(self._batches(own, self._data.train)) or [batch(self._some(bins)).unlearned()]
        nats = 0.0
        for number, group in enumerate(groups, start=1):
            last = number == len(groups)
            with nullcontext() if last else self._processes.alone(self._module):
                part = self._module(group.to(self._processes.device))
                # The mean over processes is taken of gradients; the sum is what a step is.
                share = part * (self._processes.count / max(weight, 1e-9))
                self._scaler.scale(share).backward()
            nats += float(part.detach())
        return self._processes.total([nats])[0]

    def _some(self, bins: Sequence[tuple[int, ...]]) -> list[Document]:
        return [self._data.train[bins[0][0]]]

    def _update(self, weight: float) -> float:
        """Move the weights, unless the gradients are no numbers; gives the gradients' length."""
        at = self._at
        self._scaler.unscale_(self._optimizer)
        norm = float(torch.nn.utils.clip_grad_norm_(self._weights.values(), self._recipe.max_grad_norm))
        if math.isfinite(norm):
            at.skipped_in_a_row = 0
            # The weights that were saved last have given a gradient since.
            self._good = self._saved
            if weight:
                self._scaler.step(self._optimizer)
                at.taken += 1
        else:
            at.skipped += 1
            at.skipped_in_a_row += 1
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        return norm

    def _rate(self, taken: int) -> float:
        """The learning rate after so many steps: a straight rise, then half a cosine."""
        recipe, total = self._recipe, self._steps.total
        rise = max(1, round(recipe.warmup_share * total))
        if taken < rise:
            return recipe.learning_rate * (taken + 1) / rise
        way = (taken - rise) / max(1, total - rise)
        return recipe.learning_rate * (
            recipe.final_share + (1 - recipe.final_share) * 0.5 * (1 + math.cos(math.pi * way))
        )

    def _batches(self, bins: Sequence[tuple[int, ...]], documents: Sequence[Document]) -> Iterator[Batch]:
        return (batch(group) for group in micro_batches(bins, documents, self._at.micro_tokens))

    def _shrink(self, reason: str) -> None:
        """Take less at once from now on. Raises TooLittleMemory where there is no less."""
        at = self._at
        longest = max(map(len, (*self._data.train, *self._data.valid)))
        self._optimizer.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if self._processes.count > 1:
            raise TooLittleMemory(
                f"memory is too small for {at.micro_tokens} tokens at once ({reason}): set BATCH_SIZE lower and go on "
                "with  --resume, or PACK_TOKENS and begin a new run"
            )
        if at.plain_layers:
            at.plain_layers = 0
            checkpointed(self._learner.model, 0)
            text = "memory ran out: from now on all layers are computed twice instead of kept"
        elif at.micro_tokens > longest:
            at.micro_tokens = max(longest, at.micro_tokens // 2)
            text = f"memory ran out: from now on {at.micro_tokens} tokens go through at once, as many a step as before"
        else:
            raise TooLittleMemory(
                f"memory is too small even for one conversation of {longest} tokens ({reason}): close other programs, "
                "or lower SAMPLE_TOKENS and PACK_TOKENS and run  sususbot build  again"
            )
        # In the course of the step after that: a run that goes on from here will tell it again.
        self._tell(Note(at.step + 1, text))

    # -- now and then

    def _measure(self) -> None:
        """Bits per byte on what was kept apart; without that, the newest weights count as the best."""
        at = self._at
        if not self._data.valid:
            at.best_step = at.step
            return
        bits = self.bits_per_byte(self._data.valid)
        better = bits < at.best_bits - _BETTER
        at.since_best = 0 if better else at.since_best + 1
        if better:
            at.best_bits, at.best_step = bits, at.step
        self._tell(Measured(at.step, bits, better))
        if not math.isfinite(bits):
            if not at.step:
                raise TrainingDiverged(
                    f"the base gives no numbers in {self._hardware.precision} before it has learned anything: set "
                    "USE_FP16=false, or choose another BASE_MODEL"
                )
            raise self._diverged(f"after step {at.step} the loss of what was kept apart is no number")

    def bits_per_byte(self, documents: Sequence[Document]) -> float:
        """Weighted nats of the documents over their weighted bytes, in bits."""
        own = self._processes.share(pack([len(document) for document in documents], max(map(len, documents))))
        nats = self._processes.total([self._with_room(lambda: self._try_nats(own, documents))])[0]
        learned = sum(document.learned_bytes for document in documents)
        return nats / math.log(2) / max(learned, 1e-9)

    @torch.no_grad()
    def _try_nats(self, bins: Sequence[tuple[int, ...]], documents: Sequence[Document]) -> float:
        self._trainee.eval()
        groups = self._batches(bins, documents)
        return sum(float(self._trainee(group.to(self._processes.device))) for group in groups)

    def _save(self) -> None:
        if self._saved == self._at.step:
            return
        self._saved = self._at.step
        if self._processes.first:
            state = {
                "progress": {name: getattr(self._at, name) for name in _Progress.__slots__},
                "optimizer": self._optimizer.state_dict(),
                "scaler": self._scaler.state_dict(),
                "hardware": self._hardware.as_json(),
            }
            keep = {step for step in (self._at.best_step, self._good) if step is not None}
            checkpoints.save(self._run, self._at.step, self._weights, state, keep)
        self._processes.wait()

    def _go_on(self, checkpoint: checkpoints.Checkpoint) -> None:
        self._load(checkpoint.weights())
        state = checkpoint.state()
        self._optimizer.load_state_dict(state["optimizer"])
        # None where it was not trained in fp16 then.
        if state["scaler"]:
            self._scaler.load_state_dict(state["scaler"])
        progress = state["progress"]
        if state["hardware"] != self._hardware.as_json():
            # Its owner wants it otherwise since; else what memory once was too small for is not tried again.
            progress |= {"micro_tokens": self._at.micro_tokens, "plain_layers": self._at.plain_layers}
        if not checkpoints.kept(self._run, progress["best_step"]):
            # Its owner took it away, as a damaged one: whatever is measured next is the best there is.
            progress |= {"best_step": progress["step"], "best_bits": math.inf}
        self._at = replace(self._at, **progress)
        self._saved = self._at.step
        if self._processes.first:
            self._metrics.rewind(self._at.step)

    @torch.no_grad()
    def _load(self, weights: Mapping[str, torch.Tensor]) -> None:
        for name, weight in self._weights.items():
            weight.copy_(weights[name])

    def _finish(self) -> None:
        """The best weights are the ones that stay."""
        if self._at.best_step != self._at.step:
            self._load(checkpoints.at(self._run, self._at.best_step).weights())
        if self._published != self._at.best_step:
            self._publish()

    def _publish(self) -> None:
        self._published = self._at.best_step
        if self._processes.first:
            with writing("what was learned", self._run):
                self._learner.publish(self._run)
        self._processes.wait()

    def _tell(self, event: StepDone | Measured | Note) -> None:
        if self._processes.first:
            self._metrics.add(event)
            self._told(event)
