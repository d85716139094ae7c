"""The page Data: what the archive holds, who agreed to what, how texts are cleaned. Each is a module of its own."""

from functools import partial

from sususbot.web import consent, report_view, rules
from sususbot.web.desk import Desk
from sususbot.web.parts import style, views


def build(desk: Desk) -> None:
    """Draw it."""
    style()
    views(
        ("Report", partial(report_view.draw, desk)),
        ("Consent", partial(consent.draw, desk)),
        ("Cleaning", partial(rules.draw, desk)),
    )
