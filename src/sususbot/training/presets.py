"""What a card's size decides where the settings leave it open. Light: nothing heavy is imported.

One row of 2,048 tokens at a time, on all cards but the smallest. Memory beyond that is worth more as layers that need
not be computed twice (`memory_model.plain_layers_that_fit`) than as more rows: activations cost the same a token either
way, and a layer that is kept saves a third of its work, where twice the rows only halve the unpacking of 4-bit weights.
"""

from typing import Final, NamedTuple

from sususbot.errors import SettingsError

_GIB: Final = 1 << 30
# A card of 16 GB shows programs 14.7 (T4) to 15.9; one of 11 GB 10.8.
_SHOWN: Final = 0.9
_BF16_FROM: Final = (8, 0)


class Preset(NamedTuple):
    """For cards of so many GB: tokens of a row, and rows that go through the model at once."""

    gigabytes: int
    pack_tokens: int
    batch_rows: int


PRESETS: Final = (
    Preset(8, 1024, 1),
    Preset(11, 2048, 1),
    Preset(16, 2048, 1),
    Preset(24, 2048, 1),
)


def preset_for(total_bytes: int) -> Preset:
    """The largest preset that a card (or a machine) has the memory for; the smallest where it has for none."""
    fitting = [preset for preset in PRESETS if total_bytes >= _SHOWN * preset.gigabytes * _GIB]
    return fitting[-1] if fitting else PRESETS[0]


def preset_named(name: str) -> Preset:
    """The preset that VRAM_PRESET names. Raises SettingsError."""
    for preset in PRESETS:
        if str(preset.gigabytes) == name:
            return preset
    known = ", ".join(str(preset.gigabytes) for preset in PRESETS)
    raise SettingsError(f"there is no VRAM_PRESET={name}: choose one of {known}, or auto")


def precision(capability: tuple[int, int] | None, use_fp16: bool | None) -> str:
    """What to compute in, of fp16, bf16 and fp32, on a card of that compute capability (None: on the processor).

    Raises SettingsError where USE_FP16 asks for what the card cannot do.
    """
    if use_fp16:
        return "fp16"
    if capability is None:
        return "fp32"
    if capability >= _BF16_FROM:
        return "bf16"
    if use_fp16 is None:
        return "fp16"
    raise SettingsError(
        f"USE_FP16=false, but this card (compute capability {capability[0]}.{capability[1]}) has no bf16, which begins "
        "at 8.0: leave USE_FP16 empty"
    )
