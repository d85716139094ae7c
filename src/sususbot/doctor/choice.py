"""Which settings suit a machine, and why: base and how it is packed, context, and how to train, each with its reason.

Counted from what the files weigh and a card holds; nothing is loaded or measured. What the card cannot do is said, not
tried. A model is only chosen to answer once its file is there: until then `recall` does, which needs none.
"""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sususbot.doctor.checks_machine import total_memory
from sususbot.model.bases import KNOWN, Known, default_for
from sususbot.model.cards import Card, IdleCard, find_cards, idle_cards
from sususbot.model.placement import KV_BYTES, KVType
from sususbot.training.presets import preset_for

_GB: Final = 1e9
_GIB: Final = 1 << 30
# The base's keys and values: 32 layers, each 8 heads of 128, twice.
_NUMBERS_A_TOKEN: Final = 32 * 8 * 128 * 2
# Beside weights and context: what is computed in, the desktop, and what VRAM_RESERVE_MB leaves free.
_BESIDE: Final = 1.2 * _GB
# From best to least. More tokens take longer to read: the first is for cards that are fast, too.
_CONTEXTS: Final[tuple[tuple[int, KVType, float], ...]] = (
    (8192, "f16", 15 * _GIB),
    (4096, "f16", 0),
    (4096, "q8_0", 0),
    (2048, "q8_0", 0),
)
# A card that is sold with 8 GB has a little less.
_TRAINABLE: Final = 7.2 * _GIB
# Of the machine's memory, for a model without a card.
_ROOMY: Final = 7.5 * _GIB


@dataclass(frozen=True, slots=True)
class Machine:
    """What is asked of a machine: its system, cores and memory, its largest card, and a card that lies idle."""

    system: str
    cores: int
    memory_bytes: int
    card: Card | None = None
    idle: IdleCard | None = None

    def __str__(self) -> str:
        return f"{self.system}, {self.cores} cores, {self.memory_bytes / _GIB:.0f} GB of memory"

    @property
    def trainable(self) -> bool:
        """torch trains on NVIDIA's cards here, and they are those that tell their driver."""
        return self.card is not None and self.card.driver is not None and self.card.total_bytes >= _TRAINABLE


@dataclass(frozen=True, slots=True)
class Choice:
    """Settings by field, the reason for each, and what the owner should know of the machine."""

    values: Mapping[str, str]
    reasons: Mapping[str, str]
    told: tuple[str, ...]
    base: Known


def this_machine() -> Machine:
    card = next(iter(find_cards()), None)
    idle = None if card is not None else next(iter(idle_cards()), None)
    return Machine(_system(), os.cpu_count() or 1, total_memory(), card, idle)


def choose(machine: Machine, models: Path) -> Choice:
    """For a folder of models, which may hold the chosen one already."""
    card = machine.card
    base = default_for(card.total_bytes if card is not None else None)
    path = models / (base.file or base.name)
    backend, reason = _backend(machine, path)
    values, why = {"backend": backend}, {"backend": reason}
    if card is not None:
        values |= {"model_path": path.as_posix(), "base_model": _trained().repos[0]}
        why["base_model"] = "Chosen: what the GGUF in MODEL_PATH is made of, so that an adapter fits both."
        which = "the best that leaves room for a context" if _whole(card, base) else "the smallest"
        why["model_path"] = f"Chosen for {_named(card)}: {base.name}, {base.size / _GB:.1f} GB, {which}."
        tokens, kind = _context(card, base)
        values["context_tokens"] = str(tokens)
        takes = f"{kv_bytes(tokens, kind) / _GB:.1f} GB beside the weights"
        why["context_tokens"] = f"Chosen for {_named(card)}: {takes}; a longer one takes longer to read."
        if kind != "f16":
            values["kv_type"], why["kv_type"] = kind, "Chosen: half the room of f16."
    if machine.trainable and card is not None:
        values["vram_preset"] = str(preset_for(card.total_bytes).gigabytes)
        why["vram_preset"] = f"Chosen for {_named(card)}."
    return Choice(values, why, tuple(_told(machine, base)), base)


def _trained() -> Known:
    return next(known for known in KNOWN if known.kind == "folder")


def _backend(machine: Machine, path: Path) -> tuple[str, str]:
    if machine.card is None:
        return "recall", "Chosen: it answers at once; without a card a model (llamacpp) takes many seconds for a reply."
    if path.is_file():
        return "llamacpp", f"Chosen: the model is there, and {_named(machine.card)} runs it."
    return "recall", "Chosen until the model is there:  sususbot models download --use  fetches it and sets llamacpp."


def _context(card: Card, base: Known) -> tuple[int, KVType]:
    """The longest context whose keys and values fit beside the weights."""
    *longer, (least, packed, _) = _CONTEXTS
    left = card.total_bytes - base.size - _BESIDE
    for tokens, kind, card_from in longer:
        if card.total_bytes >= card_from and kv_bytes(tokens, kind) <= left:
            return tokens, kind
    return least, packed


def kv_bytes(tokens: int, kind: KVType) -> float:
    """What a context takes, for the bases that are known here."""
    return tokens * _NUMBERS_A_TOKEN * KV_BYTES[kind]


def _named(card: Card) -> str:
    return f"the {card.name}, {card.gigabytes:.0f} GB"


def _told(machine: Machine, base: Known) -> list[str]:
    """What the machine is good for, in a sentence each."""
    card = machine.card
    if card is None:
        return [_without_card(machine)]
    room = "whole on the card" if _whole(card, base) else "in part on the card, so replies are slower"
    found = [f"to talk: {base.name} ({base.size / _GB:.1f} GB), {room}"]
    if not card.usable:
        found.append(
            "the installed llama.cpp is built for the processor alone: install the wheel of xllamacpp for your card "
            "(docs/serving.md)"
        )
    if machine.trainable:
        found.append(f"to train: Mistral-7B in 4 bits, VRAM_PRESET={preset_for(card.total_bytes).gigabytes}")
    elif card.driver is None:
        found.append("to train: not on this card, which takes an NVIDIA one (CUDA)")
    else:
        found.append(f"to train: not on this card, which takes 8 GB and has {card.gigabytes:.0f}")
    return found


def _whole(card: Card | None, base: Known) -> bool:
    """Whether all of it finds room on the card."""
    return card is not None and base.size + _BESIDE <= card.total_bytes


def _without_card(machine: Machine) -> str:
    if machine.idle is not None and machine.idle.maker == "NVIDIA":
        return "there is an NVIDIA card, and NVIDIA's driver is not: install it, and run  sususbot init --force  again"
    if machine.idle is not None:
        return (
            f"the {machine.idle.name} is used by nothing here: install xllamacpp's Vulkan or ROCm wheel to talk on it "
            "(docs/serving.md); training takes an NVIDIA card"
        )
    if machine.memory_bytes < _ROOMY:
        return "no graphics card: the bot quotes what was said (recall); for a model there is too little memory"
    return "no graphics card: the bot quotes what was said (recall); a model takes many seconds for a reply"


def _system() -> str:
    name = platform.system()
    if name == "Darwin":
        return f"macOS {platform.mac_ver()[0]} ({platform.machine()})"
    release = platform.release()
    return f"{name} {release.split('-')[0]}".strip()
