"""What stands around every page: skip link, navigation, theme switch, title; and the words for what goes wrong.

A forgetting that could not be ended stands above every page until it is.

The navigation is plain HTML that the browser paints before any script runs. On a wide window it stands at the side, on
a narrow one at the bottom, under the thumb. Every text of a member reaches the browser as text, never as markup: pages
use labels and `html` elements, not `ui.html` or `ui.markdown`.
"""

import asyncio
import html as escaping
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from nicegui import html, ui

from sususbot.archive.archive import now_ms
from sususbot.errors import SususError
from sususbot.forgetting import told
from sususbot.web import theme
from sususbot.web.counting import counting_of
from sususbot.web.desk import Desk
from sususbot.web.pages import PAGES, Page

logger = logging.getLogger(__name__)

CONTENT_ID: Final = "content"
_UNFINISHED: Final = (
    "Not all is erased yet of what is to be forgotten: another program was in the way, or it is being done at this "
    "moment. Nothing of it is used any more."
)

# Before the first paint: the theme that was chosen, so that nothing flashes.
_HEAD: Final = """<style>{css}</style><script>
(() => {{
  const root = document.documentElement;
  const kept = document.cookie.match(/(?:^|; )theme=(light|dark)/);
  root.dataset.theme = kept ? kept[1] : "auto";
  root.lang = "en";
  // Whether dark was chosen: null where the system is followed.
  window.chosenDark = () => root.dataset.theme === "auto" ? null : root.dataset.theme === "dark";
  window.switchTheme = () => {{
    const dark = !(chosenDark() ?? matchMedia("(prefers-color-scheme: dark)").matches);
    root.dataset.theme = dark ? "dark" : "light";
    document.cookie = "theme=" + root.dataset.theme + "; path=/; max-age=31536000; samesite=strict";
    if (typeof setDark === "function") setDark(dark);
  }};
}})();
</script>"""
_BODY: Final = """<a class="skip" href="#{content}">To the content</a>
<nav class="rail" aria-label="Pages"><a class="brand" href="/" aria-hidden="true" tabindex="-1">sususbot</a>
<ul>{links}</ul>
<button type="button" class="theme-switch" onclick="switchTheme()" aria-label="Light or dark">
<svg viewBox="0 0 24 24" aria-hidden="true">
<path d="M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm0 2v16a8 8 0 0 1 0-16z" fill-rule="evenodd"/></svg>
<span>Light / dark</span></button></nav>"""
_LINK: Final = (
    '<li><a href="{path}"{current}><svg viewBox="0 0 24 24" aria-hidden="true"><path d="{icon}"/></svg>'
    "<span>{title}</span></a></li>"
)


@contextmanager
def frame(page: Page, title: str | None = None) -> Iterator[None]:
    """Everything drawn inside stands in the page's content; `title` is what stands above it, where not the page's."""
    ui.add_head_html(_HEAD.format(css=theme.style_sheet()))
    ui.add_body_html(_BODY.format(content=CONTENT_ID, links="".join(_link(one, page) for one in PAGES)))
    # No element of the page's own layout: it only tells the widgets which theme is on. It does so whenever anything on
    # the page changes, so it asks the document, which knows what was chosen since the page was drawn.
    ui.dark_mode(None).props(':value="chosenDark()"')
    with html.div(id=CONTENT_ID, tabindex=-1).classes(f"content page-{page.name}"):
        html.h1(title or page.title).classes("title")
        yield


def failed(error: SususError) -> None:
    """What went wrong, in its one sentence, where the page stands."""
    ui.label(str(error)).classes("failed").props('role="alert"')


def tell(error: SususError) -> None:
    """What went wrong, in its one sentence, over the page: for what a click began."""
    ui.notify(str(error), type="negative", multi_line=True, close_button="OK", timeout=0)


async def unfinished(desk: Desk) -> None:
    """Says so where something is still to be erased, with a button that goes on with it. Raises ArchiveError."""
    if not await asyncio.to_thread(_waiting, desk):
        return

    async def go_on() -> None:
        try:
            lines = await asyncio.to_thread(_erase, desk)
        except SususError as error:
            tell(error)
        else:
            ui.notify(" ".join(["All is erased.", *lines]), multi_line=True, timeout=15_000, close_button="OK")
            place.set_visibility(False)

    with html.div().classes("row").props('role="alert"') as place:
        html.p(_UNFINISHED).classes("warn")
        ui.button("Erase the rest", on_click=go_on).props("flat dense")


def _waiting(desk: Desk) -> bool:
    return bool(desk.archive.erasure.unfinished() or desk.archive.erasure.unsaying())


def _erase(desk: Desk) -> list[str]:
    erasure = desk.archive.erasure
    ids = [
        *erasure.unsaying(),
        *(id_ for one in erasure.unfinished() for id_ in desk.archive.consents.depending_on(one)),
    ]
    try:
        gone = desk.forgetting.resume(at=now_ms())
    finally:
        desk.changed(ids)
        counting_of(desk).drop()
    return [f"{line[0].upper()}{line[1:]}." for line in told(gone)]


def _link(one: Page, shown: Page) -> str:
    current = ' aria-current="page"' if one is shown else ""
    return _LINK.format(path=one.path, current=current, icon=one.icon, title=escaping.escape(one.title))
