"""What training on a corpus would ask of a graphics card: time and memory, as ranges, from arithmetic alone.

A 7B base (Mistral-7B: 6.98 B linear weights) in 4 bits, LoRA on all linear layers, every activation recomputed, samples
packed to rows of `PACK_TOKENS`. Nothing of it was measured on the card named, so each figure is a best and a worst.

**Time.** Forward, recomputation and the gradient of the inputs are each two operations a weight and token: 41.9 GFLOP
a token, 47.6 with attention over a full row. At best products reach 84 % of the card's peak (45 of 53.8 TFLOPS, as
cuBLAS does on a card of that family) and what only moves memory (unpacking weights, element-wise work, adapters) adds
0.515 s a row at 616 GB/s; at worst all of it together reaches 37 % (20 of 53.8).
**Memory.** The sum of weights, adapter with its gradients and AdamW states, saved layer inputs, one layer at work, and
what CUDA holds for itself.
"""

import subprocess
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from sususbot.analysis.analysis import CardCost, Span, Training

EPOCHS: Final = 3
PACK_TOKENS: Final = 2048
RANK: Final = 16
TARGET: Final = "GeForce RTX 2080 Ti"

FORMULA: Final = (
    "best: 41.9 GFLOP a token at 84 % of the card's peak, plus 0.515 s × 616 GB/s ÷ its bandwidth for each row of "
    "2,048 tokens; worst: 47.6 GFLOP a token at 37 % of its peak"
)
MEMORY_FORMULA: Final = (
    "4-bit weights 3.60 + embeddings and head 0.54 + rank 16 adapter with gradients and AdamW states 0.68 + saved "
    "layer inputs 0.54 + one layer at work 0.5 to 0.7 + unpacked matrices 0.24 + loss 0 to 0.1 + CUDA 0.7 to 1.0 GB"
)
SOURCE: Final = (
    "arithmetic for Mistral-7B with QLoRA, not measured on these cards; peaks are the maker's figures for fp16 "
    "products summed in fp32, the shares of them come from cuBLAS timings on an RTX 2080 (triton#189)"
)

_LINEAR_GFLOP: Final = 41.9
_ALL_GFLOP: Final = 47.6
_BEST_SHARE: Final = 45 / 53.8
_WORST_SHARE: Final = 20 / 53.8
_MOVING_S: Final = 0.515
_MOVING_GB_PER_S: Final = 616.0
_SMI_SECONDS: Final = 10.0
# What a desktop and its programs hold of a card, at least and with some room.
_DESKTOP_GB: Final = (0.5, 1.0)


class Rates(NamedTuple):
    """TFLOPS of dense fp16 products summed in fp32, GB/s, GB: the maker's figures."""

    tflops: float
    gb_per_s: float
    memory_gb: float


CARDS: Final[Mapping[str, Rates]] = {
    "GeForce RTX 2060": Rates(25.8, 336, 6),
    "GeForce RTX 2070": Rates(29.9, 448, 8),
    "GeForce RTX 2080": Rates(40.3, 448, 8),
    TARGET: Rates(53.8, 616, 11),
    "GeForce RTX 3060": Rates(25.5, 360, 12),
    "GeForce RTX 3070": Rates(40.6, 448, 8),
    "GeForce RTX 3080": Rates(59.5, 760, 10),
    "GeForce RTX 3090": Rates(71.0, 936, 24),
    "GeForce RTX 4060": Rates(30.2, 272, 8),
    "GeForce RTX 4070": Rates(58.3, 504, 12),
    "GeForce RTX 4080": Rates(97.5, 717, 16),
    "GeForce RTX 4090": Rates(165.2, 1008, 24),
    "Tesla T4": Rates(65.0, 320, 16),
    "A100-SXM4-80GB": Rates(312.0, 2039, 80),
    "H100 80GB HBM3": Rates(989.0, 3350, 80),
    "H200": Rates(989.0, 4800, 141),
}


class Card(NamedTuple):
    """A card that is in this machine."""

    name: str
    memory_gb: float


def cards_here() -> list[Card]:
    """NVIDIA's cards in this machine, as its driver tells; none where there is no driver."""
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=_SMI_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return cards_told(told.stdout)


def cards_told(text: str) -> list[Card]:
    """The driver's lines `name, MiB` as cards; a line that is none is passed over."""
    rows = [line.rpartition(",") for line in text.splitlines()]
    return [
        Card(name.strip().removeprefix("NVIDIA "), round(int(mib) / 1024, 1))
        for name, _, mib in rows
        if mib.strip().isdecimal()
    ]


def training(messages: int, tokens: int, here: Sequence[Card] = ()) -> Training:
    """What `tokens` an epoch ask of the cards in this machine and of the one this program is made for."""
    costs = [_cost(card, tokens, found=True) for card in here]
    if all(card.name != TARGET for card in here):
        costs.append(_cost(Card(TARGET, CARDS[TARGET].memory_gb), tokens, found=False))
    return Training(
        messages=messages,
        tokens_per_epoch=tokens,
        tokens_per_message=round(tokens / messages, 1) if messages else 0.0,
        epochs=EPOCHS,
        pack_tokens=PACK_TOKENS,
        rank=RANK,
        memory_gb=memory_gb(),
        cards=tuple(costs),
        no_card="" if here else "no NVIDIA card was found in this machine",
        formula=FORMULA,
        memory_formula=MEMORY_FORMULA,
        source=SOURCE,
    )


def memory_gb(rank: int = RANK, pack_tokens: int = PACK_TOKENS) -> Span:
    """Memory while training, at best and at worst."""
    adapter = 0.68 * rank / 16
    saved = 32 * pack_tokens * 4096 * 2 / 1e9
    fixed = 3.60 + 0.54 + 0.24
    layer = pack_tokens / 2048
    low = fixed + adapter + saved + 0.5 * layer + 0.7
    high = fixed + adapter + saved + 0.7 * layer + 0.1 + 1.0
    return Span(round(low, 1), round(high, 1))


def tokens_per_s(rates: Rates) -> Span:
    """How fast a card trains, at worst and at best."""
    row = PACK_TOKENS / 1000
    worst = row * _ALL_GFLOP / (_WORST_SHARE * rates.tflops)
    best = row * _LINEAR_GFLOP / (_BEST_SHARE * rates.tflops) + _MOVING_S * _MOVING_GB_PER_S / rates.gb_per_s
    # Where memory is slow for the products, moving it bounds the worst case too.
    return Span(round(PACK_TOKENS / max(worst, best)), round(PACK_TOKENS / best))


def _cost(card: Card, tokens: int, *, found: bool) -> CardCost:
    rates = CARDS.get(card.name)
    fits = _fits(card.memory_gb)
    if rates is None:
        return CardCost(card.name, found, card.memory_gb, fits, None, None, None)
    speed = tokens_per_s(rates)
    minutes = Span(round(tokens / speed.high / 60, 1), round(tokens / speed.low / 60, 1))
    hours = Span(round(EPOCHS * tokens / speed.high / 3600, 1), round(EPOCHS * tokens / speed.low / 3600, 1))
    return CardCost(card.name, found, card.memory_gb, fits, speed, minutes, hours)


def _fits(memory: float) -> str:
    needed = memory_gb()
    if needed.high + _DESKTOP_GB[1] <= memory:
        return "yes"
    return "tight" if needed.low + _DESKTOP_GB[0] <= memory else "no"
