"""What the settings leave open, decided by corpus, base and card: how a training is laid out, and whether it can be.

Everything that can be wrong is found here, before anything is loaded: the base, the card and its driver, its memory.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import torch

from sususbot.corpus.manifest import Corpus
from sususbot.errors import CorpusEmpty, SettingsError
from sususbot.settings import Settings
from sususbot.training import from_scratch, hardware, presets
from sususbot.training.base import Base, check_length, find_base
from sususbot.training.memory_model import memory, plain_layers_that_fit
from sususbot.training.processes import rank
from sususbot.training.recipe import Hardware, Recipe, rows_per_step
from sususbot.training.shape import Shape

# Of what is free, what is left alone: the desktop takes a little more now and then.
_KEPT_FREE: Final = 0.04
_SPEEDS: Final = 64
# Of the tokens, about those that have a loss.
_LEARNED: Final = 0.8


@dataclass(slots=True)
class Watched:
    """The card while it trains: figures for each step, and a sentence once when its memory spills."""

    watch: hardware.Watch
    cap_bytes: int
    _speeds: list[float] = field(default_factory=list)
    _said: bool = False

    def __call__(self, tokens_per_s: float) -> tuple[Mapping[str, float | None], str | None]:
        sample = self.watch.sample()
        told = None if self._said else hardware.spilled(sample, self.cap_bytes, tokens_per_s, self._speeds)
        self._said = self._said or told is not None
        self._speeds = [*self._speeds[-_SPEEDS:], tokens_per_s]
        return {name: figure for name, figure in sample.figures().items() if figure is not None}, told


@dataclass(frozen=True, slots=True)
class Plan:
    """A training that can begin. `base` is None where one is to be made; `lines` say all of it in words."""

    base: Base | None
    recipe: Recipe
    hardware: Hardware
    lines: tuple[str, ...]
    figures: Mapping[str, Any]
    watch: Watched

    def as_json(self) -> dict[str, Any]:
        return {
            "base": self.base.as_json() if self.base is not None else None,
            "recipe": self.recipe.as_json(),
            "hardware": self.hardware.as_json(),
            **self.figures,
        }


def first_process() -> bool:
    """Whether this process is the one that speaks."""
    return rank() == 0


def plan_adapter(corpus: Corpus, settings: Settings, base_name: str, *, cpu: bool) -> Plan:
    """How a corpus is learned. Raises CorpusEmpty, BaseNotFound, BaseUnfit, NoGpu, TooLittleMemory, SettingsError."""
    _check_filled(corpus)
    base = find_base(base_name)
    shape = Shape.of(base.config)
    lay_out = _on_processor if cpu else _on_card
    recipe, laid_out, lines, watched = lay_out(shape, settings, _tokens(corpus) * settings.epochs)
    check_length(base, recipe.pack_tokens)
    named = f"base: {base_name} ({base.config.model_type}, {shape.layers} layers), {_weights_are(laid_out)}"
    return _plan(corpus, base, recipe, laid_out, (named, *lines), watched)


def plan_base(corpus: Corpus, settings: Settings, size: str, *, cpu: bool) -> Plan:
    """How a small base is made of a corpus: as the recipe for that has it, whatever the settings for adapters say."""
    _check_filled(corpus)
    cards = hardware.find_cards(only=_local_rank())
    on_card = bool(cards.usable) and not cpu
    laid_out = Hardware(
        device=_device() if on_card else "cpu",
        precision=presets.precision(cards.usable[0].capability, None) if on_card else from_scratch.PROCESSOR_PRECISION,
        plain_layers=from_scratch.layers_of(size),
    )
    recipe = from_scratch.pretraining_recipe(_tokens(corpus), size=size, seed=settings.train_seed)
    named = f"a {size} base from nothing but the corpus, on the {'card' if on_card else 'processor'}"
    return _plan(corpus, None, recipe, laid_out, (named,), Watched(hardware.Watch(torch.device(laid_out.device)), 0))


def _plan(
    corpus: Corpus, base: Base | None, recipe: Recipe, laid_out: Hardware, lines: Sequence[str], watched: Watched
) -> Plan:
    files = corpus.manifest["files"]
    tokens = _tokens(corpus)
    steps = -(-tokens // recipe.tokens_per_step)
    told = (
        f"corpus: {corpus.manifest['name']}, {files['train.jsonl']['samples']:,} conversations, {tokens:,} tokens; "
        f"{recipe.epochs} times about {steps:,} steps of {recipe.tokens_per_step:,} tokens"
    )
    figures = {"tokens": tokens, "steps": steps * recipe.epochs, "lines": [*lines, told]}
    return Plan(base, recipe, laid_out, (*lines, told), figures, watched)


Laid = tuple[Recipe, Hardware, tuple[str, ...], Watched]


def _on_processor(shape: Shape, settings: Settings, tokens: int) -> Laid:
    preset = presets.PRESETS[-1] if settings.vram_preset == "auto" else presets.preset_named(settings.vram_preset)
    laid_out = Hardware(
        precision=presets.precision(None, settings.use_fp16),
        four_bit=bool(settings.load_in_4bit),
        batch_rows=settings.batch_size or preset.batch_rows,
        plain_layers=0 if settings.gradient_checkpointing else shape.layers,
    )
    recipe = recipe_of(settings, settings.pack_tokens or preset.pack_tokens, laid_out.batch_rows)
    free = hardware.free_memory()
    if settings.gradient_checkpointing is None:
        fitting = plain_layers_that_fit(shape, recipe, laid_out, int(free * (1 - _KEPT_FREE)))
        laid_out = replace(laid_out, plain_layers=fitting)
    needed = memory(shape, recipe, laid_out).total
    hardware.check_memory(free, needed)
    rate = hardware.matmul_rate(torch.device("cpu"), torch.float32)
    lines = (
        f"processor: about {needed / hardware.GB:.1f} of {free / hardware.GB:.1f} GB of free memory, "
        f"{laid_out.plain_layers} of {shape.layers} layers kept; {hardware.on_processor(_flops(shape, tokens), rate)}",
    )
    return recipe, laid_out, lines, Watched(hardware.Watch(torch.device("cpu")), 0)


def _on_card(shape: Shape, settings: Settings, tokens: int) -> Laid:
    index = _local_rank()
    cards = hardware.find_cards(only=index)
    card = cards.usable[index] if index < len(cards.usable) else None
    preset = (
        presets.preset_named(settings.vram_preset)
        if settings.vram_preset != "auto"
        else presets.preset_for(card.total_bytes if card is not None else 0)
    )
    laid_out = Hardware(
        device=_device(),
        precision=presets.precision(card.capability if card is not None else None, settings.use_fp16),
        four_bit=settings.load_in_4bit is not False,
        batch_rows=settings.batch_size or preset.batch_rows,
        plain_layers=shape.layers if settings.gradient_checkpointing is False else 0,
    )
    recipe = recipe_of(settings, settings.pack_tokens or preset.pack_tokens, laid_out.batch_rows)
    least = memory(shape, recipe, laid_out)
    card = hardware.check_card(
        cards,
        least.total - least.context,
        _flops(shape, tokens),
        lambda: hardware.matmul_rate(torch.device("cpu"), torch.float32),
        index,
    )
    cap = int(card.free_bytes * (1 - _KEPT_FREE))
    if settings.gradient_checkpointing is None:
        laid_out = replace(laid_out, plain_layers=plain_layers_that_fit(shape, recipe, laid_out, cap))
    needed = memory(shape, recipe, laid_out).total
    device = torch.device(laid_out.device)
    hardware.cap_memory(device, cap)
    lines = (
        f"card: {card.name}, about {needed / hardware.GB:.1f} GB needed, {card.free_bytes / hardware.GB:.1f} of "
        f"{card.total_bytes / hardware.GB:.1f} GB free; {laid_out.plain_layers} of {shape.layers} layers kept, the "
        "others computed twice",
    )
    return recipe, laid_out, lines, Watched(hardware.Watch(device), cap)


def recipe_of(settings: Settings, pack_tokens: int, batch_rows: int) -> Recipe:
    """What the settings say of learning itself. Raises SettingsError."""
    accumulation = settings.gradient_accumulation_steps
    if accumulation is not None and "tokens_per_step" in settings.model_fields_set:
        raise SettingsError(
            "TOKENS_PER_STEP and GRADIENT_ACCUMULATION_STEPS say the same thing twice: set one of the two"
        )
    return Recipe(
        learning_rate=settings.learning_rate,
        epochs=settings.epochs,
        pack_tokens=pack_tokens,
        rows=rows_per_step(settings.tokens_per_step, pack_tokens, batch_rows, accumulation),
        rank=settings.lora_rank,
        alpha=settings.lora_alpha,
        dropout=settings.lora_dropout,
        warmup_share=settings.warmup_share,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        evals_per_epoch=settings.evals_per_epoch,
        patience=settings.patience,
        seed=settings.train_seed,
    )


def _flops(shape: Shape, tokens: int) -> float:
    """Of learning so many tokens: attention and what is learned are little beside the layers themselves."""
    return shape.operations(tokens, 0, round(tokens * _LEARNED), plain_layers=shape.layers).done


def _tokens(corpus: Corpus) -> int:
    return int(corpus.manifest["files"]["train.jsonl"]["tokens"])


def _check_filled(corpus: Corpus) -> None:
    if not corpus.manifest["files"]["train.jsonl"]["samples"]:
        raise CorpusEmpty(
            f"the corpus {corpus.manifest['name']} holds nothing: run  sususbot build  and read its report"
        )


def _weights_are(laid_out: Hardware) -> str:
    return f"{'in 4 bits (NF4)' if laid_out.four_bit else 'not quantised'}, products in {laid_out.precision}"


def _local_rank() -> int:
    return int(os.environ.get("LOCAL_RANK", "0"))


def _device() -> str:
    return f"cuda:{_local_rank()}"
