"""What a card's size decides: presets that fit by the memory model, and what is computed in."""

import pytest

from sususbot.errors import SettingsError
from sususbot.training import presets
from sususbot.training.memory_model import memory, plain_layers_that_fit
from sususbot.training.presets import PRESETS, precision, preset_for, preset_named
from sususbot.training.recipe import Hardware, Recipe
from sususbot.training.shape import Shape

MISTRAL = Shape(32, 4096, 14336, 32, 8, 128, 32768)
# What programs are shown of cards of 6 to 80 GB, as torch tells it.
CARDS = {
    "RTX 2060": (6.22e9, 8),
    "RTX 2070": (8.36e9, 8),
    "RTX 3080": (10.49e9, 8),
    "RTX 2080 Ti": (11.55e9, 11),
    "RTX 3060": (12.62e9, 11),
    "T4": (15.83e9, 16),
    "RTX 4080": (16.86e9, 16),
    "RTX 3090": (25.43e9, 24),
    "H100": (85.0e9, 24),
}


@pytest.mark.parametrize("card", CARDS)
def test_a_card_gets_the_largest_preset_that_it_has_the_memory_for(card: str) -> None:
    total, gigabytes = CARDS[card]
    assert preset_for(int(total)).gigabytes == gigabytes


def test_a_preset_can_be_named() -> None:
    assert [preset_named(str(preset.gigabytes)) for preset in PRESETS] == list(PRESETS)
    with pytest.raises(SettingsError, match="choose one of 8, 11, 16, 24, or auto"):
        preset_named("12")


def laid_out(preset: presets.Preset) -> tuple[Recipe, Hardware]:
    return Recipe(pack_tokens=preset.pack_tokens), Hardware("cuda", "fp16", True, preset.batch_rows)


@pytest.mark.parametrize("preset", PRESETS, ids=str)
def test_a_7b_base_fits_its_preset_beside_a_desktop(preset: presets.Preset) -> None:
    needed = memory(MISTRAL, *laid_out(preset)).total
    assert needed < preset.gigabytes * 0.96 * (1 << 30) - 1.0e9


def test_larger_cards_keep_more_layers_up_to_all() -> None:
    kept = [
        plain_layers_that_fit(MISTRAL, *laid_out(preset), int(preset.gigabytes * 0.96 * (1 << 30) - 1.5e9))
        for preset in PRESETS
    ]
    assert kept == sorted(kept)
    assert kept[1] >= 6
    assert kept[-1] == 32


def test_more_rows_at_once_would_be_slower_than_more_layers_kept() -> None:
    """Why no preset has more than one row: products of a 2080 Ti at 45 TFLOPS, and 0.0385 s to unpack all matrices."""

    def seconds_a_token(rows: int, free: int) -> float:
        recipe, hardware = Recipe(), Hardware("cuda", "fp16", True, rows)
        kept = plain_layers_that_fit(MISTRAL, recipe, hardware, free)
        tokens = rows * 2048
        work = MISTRAL.operations(tokens, 0, tokens, plain_layers=kept)
        return (work.done / 45e12 + 0.0385 * (3 - kept / 32)) / tokens

    for free in (14_800_000_000, 23_500_000_000):
        assert seconds_a_token(1, free) < seconds_a_token(2, free) < seconds_a_token(4, free)


@pytest.mark.parametrize(
    ("capability", "use_fp16", "used"),
    [
        (None, None, "fp32"),
        (None, False, "fp32"),
        (None, True, "fp16"),
        ((7, 5), None, "fp16"),
        ((7, 5), True, "fp16"),
        ((8, 0), None, "bf16"),
        ((8, 9), False, "bf16"),
        ((12, 0), True, "fp16"),
    ],
)
def test_what_is_computed_in_follows_card_and_setting(
    capability: tuple[int, int] | None, use_fp16: bool | None, used: str
) -> None:
    assert precision(capability, use_fp16) == used


def test_a_card_without_bf16_must_use_fp16() -> None:
    with pytest.raises(SettingsError, match=r"compute capability 7\.5\).*leave USE_FP16 empty"):
        precision((7, 5), False)
