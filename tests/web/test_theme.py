"""Every text reads on its ground, in both themes: WCAG's 4.5 to 1 for text, 3 to 1 for what is only drawn."""

import re

import pytest

from sususbot.web.channel import AVATARS
from sususbot.web.theme import CHART, style_sheet

GROUNDS = ("paper", "card", "sunken", "rail")
TEXTS = ("ink", "muted", "accent", "good", "warn", "bad")


def themes() -> dict[str, dict[str, str]]:
    """The colours by name, as they are by day and in the dark."""
    pairs = re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", style_sheet())
    return {"light": {name: day for name, day, _ in pairs}, "dark": {name: night for name, _, night in pairs}}


def contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", themes())
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("text", TEXTS)
def test_text_reads_on_its_ground(theme: str, ground: str, text: str) -> None:
    colours = themes()[theme]
    assert contrast(colours[text], colours[ground]) >= 4.5


@pytest.mark.parametrize("theme", themes())
def test_words_on_buttons_read(theme: str) -> None:
    colours = themes()[theme]
    for ground in ("accent", "good", "bad"):
        assert contrast(colours["on-accent"], colours[ground]) >= 4.5


def test_no_colour_is_the_same_by_day_and_in_the_dark() -> None:
    """What a page draws in is a variable, and each variable has both."""
    assert not re.findall(r"--[\w-]+: #", style_sheet())
    assert all(by_day != themes()["dark"][name] for name, by_day in themes()["light"].items())


@pytest.mark.parametrize("colour", AVATARS)
def test_initials_read(colour: str) -> None:
    assert contrast("#ffffff", colour) >= 4.5


@pytest.mark.parametrize("colour", CHART)
def test_curves_are_seen_on_both_grounds(colour: str) -> None:
    assert all(contrast(colour, theme["card"]) >= 3 for theme in themes().values())
