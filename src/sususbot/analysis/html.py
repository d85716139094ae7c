"""A page as one HTML file: a template and its style sheets in, text out that loads nothing and runs nothing.

Every value is escaped. The policy in the page's head (`style_hash`) lets a browser use the style sheet inside it, and
nothing else.
"""

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any

import jinja2


def rendered(package: str, template: str, styles: Sequence[tuple[str, str]], **values: Any) -> str:
    """The template of a package with these values; `styles` are (package, file), the later ones on top."""
    style = "".join(_text(*one) for one in styles)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string(_text(package, template)).render(
        style=style,
        style_hash=f"sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}",
        **values,
    )
    return page.lstrip()


def _text(package: str, name: str) -> str:
    return (resources.files(package) / name).read_text(encoding="utf-8")
