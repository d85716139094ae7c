"""The page Health."""

from nicegui import ui

from sususbot.web.desk import Desk


def build(_desk: Desk) -> None:
    """Draw it."""
    ui.label("Nothing here yet.")
