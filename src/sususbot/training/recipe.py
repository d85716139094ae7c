"""How a training is done, as values: what the settings say, and what the card at hand makes of what they leave open.

Light on purpose: nothing heavy is imported, so that the command line can read and check it at once.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final

from sususbot.errors import SettingsError

# Of the seven linear layers of each block; attention alone learns worse ("LoRA Without Regret", 2025).
TARGETS: Final = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What decides the weights that come out: the same recipe, corpus and base give the same adapter on one machine.

    `rows` is how many bins of `pack_tokens` one optimiser step reads on all cards together.
    """

    learning_rate: float = 2.5e-4
    epochs: int = 3
    pack_tokens: int = 2048
    rows: int = 4
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    warmup_share: float = 0.03
    # Of the learning rate, what is left of it at the end of the cosine.
    final_share: float = 0.1
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    evals_per_epoch: int = 2
    patience: int = 3
    seed: int = 0

    @property
    def tokens_per_step(self) -> int:
        """Tokens that one optimiser step reads, at most."""
        return self.rows * self.pack_tokens

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Hardware:
    """How the work is laid on the machine; none of it changes what is learned beyond rounding.

    `precision` is what products are computed in; weights of the adapter are fp32 always. `batch_rows` are the bins
    that go through the model at once, `plain_layers` the blocks, counted from the last, whose activations are kept
    instead of computed again.
    """

    device: str = "cpu"
    precision: str = "fp32"
    four_bit: bool = False
    batch_rows: int = 1
    plain_layers: int = 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def rows_per_step(tokens_per_step: int, pack_tokens: int, batch_rows: int, accumulation: int | None) -> int:
    """Bins an optimiser step reads: from TOKENS_PER_STEP, or from GRADIENT_ACCUMULATION_STEPS where that is set."""
    if accumulation is not None:
        return accumulation * batch_rows
    if tokens_per_step < pack_tokens:
        raise SettingsError(
            f"TOKENS_PER_STEP={tokens_per_step} is less than one row of PACK_TOKENS={pack_tokens}: raise the one or "
            "lower the other"
        )
    return tokens_per_step // pack_tokens
