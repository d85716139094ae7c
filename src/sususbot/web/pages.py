"""The pages, in the order of the navigation. Adding one is a module with a `build` and a line in this table."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from sususbot.web.desk import Desk

Build = Callable[[Desk], Awaitable[None] | None]


@dataclass(frozen=True, slots=True)
class Page:
    """`where` names the function that draws what stands inside the frame; `icon` is the `d` of a path in 24 by 24."""

    path: str
    title: str
    icon: str
    where: str

    @property
    def name(self) -> str:
        """As it stands in addresses and names of pictures."""
        return self.title.lower()

    def build(self) -> Build:
        """The function, its module loaded."""
        module, _, name = self.where.partition(":")
        build: Build = getattr(import_module(f"sususbot.web.{module}"), name)
        return build


PAGES: Final = (
    Page("/", "Chat", "M4 4h16a1 1 0 0 1 1 1v11a1 1 0 0 1-1 1H9l-5 4V5a1 1 0 0 1 0-1z", "chat:build"),
    Page("/memory", "Memory", "M5 3h14v18l-7-4-7 4z", "memory:build"),
    Page("/data", "Data", "M4 20V10h4v10zM10 20V4h4v16zM16 20v-7h4v7z", "data:build"),
    Page("/training", "Training", "M3 19h18v2H3zM4 17l5-6 4 3 6-9 2 1.4-7.4 11L10 14l-4 4.500z", "training:build"),
    Page(
        "/health",
        "Health",
        "M12 21C5 15.500 3 12 3 8.500A4.500 4.500 0 0 1 12 7a4.500 4.500 0 0 1 9 1.500c0 3.500-2 7-9 12.500z",
        "health:build",
    ),
)
