"""A training that is wanted, as `sususbot train` is told it; and what goes on with a run as it was begun."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sususbot.settings import Settings
from sususbot.web.runs import BASE, Run

# What of a recipe is set by which setting; a run goes on by the recipe it began with.
_OF_RECIPE: Final = {
    "learning_rate": "LEARNING_RATE",
    "epochs": "EPOCHS",
    "pack_tokens": "PACK_TOKENS",
    "rank": "LORA_RANK",
    "alpha": "LORA_ALPHA",
    "dropout": "LORA_DROPOUT",
    "warmup_share": "WARMUP_SHARE",
    "weight_decay": "WEIGHT_DECAY",
    "max_grad_norm": "MAX_GRAD_NORM",
    "evals_per_epoch": "EVALS_PER_EPOCH",
    "patience": "PATIENCE",
    "seed": "TRAIN_SEED",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """A training that is wanted. `size` makes a base from nothing, `measured` refuses a worse adapter.

    `settings` are those of `.env`, by name.
    """

    name: str
    corpus: str
    base: str | None = None
    size: str | None = None
    earlier: str | None = None
    cpu: bool = False
    resume: bool = False
    measured: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)

    def arguments(self) -> list[str]:
        """As `sususbot train` takes them."""
        given = [f"--name={self.name}"]
        if self.size is not None:
            given += ["--from-scratch", f"--size={self.size}"]
        elif self.base:
            given.append(f"--base={self.base}")
        given += [f"--continue={self.earlier}"] * bool(self.earlier)
        given += ["--cpu"] * self.cpu + ["--resume"] * self.resume + ["--eval"] * self.measured
        return [*given, "--", self.corpus]


def wish_to_resume(run: Run, settings: Settings) -> Wish:
    """What goes on with a run: the same base, corpus and recipe, measured or not. Its hardware may be another one."""
    recipe = run.recipe
    own_base = run.kind == BASE
    set_ = {"TRAIN_SEED": str(recipe.get("seed", 0))} if own_base else _settings_of(recipe, settings)
    return Wish(
        run.name,
        run.corpus,
        base=None if own_base else run.base,
        size=str(run.manifest.get("size")) if own_base else None,
        cpu=run.hardware.get("device") == "cpu",
        resume=True,
        measured=run.measured and not own_base,
        settings=set_,
    )


def _settings_of(recipe: Mapping[str, object], settings: Settings) -> dict[str, str]:
    set_ = {name: str(recipe[key]) for key, name in _OF_RECIPE.items() if key in recipe}
    if settings.gradient_accumulation_steps is None and {"rows", "pack_tokens"} <= recipe.keys():
        set_["TOKENS_PER_STEP"] = str(int(str(recipe["rows"])) * int(str(recipe["pack_tokens"])))
    return set_
