"""The examples of `docs/extending.md` are real: each goes through the tests that hold its room's contract."""

import codecs
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from sususbot.messages import Turn
from sususbot.model.backend import Sampling
from sususbot.safety.patterns import Patterns, Rule
from sususbot.safety.reading import read
from sususbot.sources.formats import FORMATS
from tests.docs_reading import blocks
from tests.evaluation.making import ground_of, recall, replies_of, system_of, unheard
from tests.model import test_conformance as of_backends
from tests.sources import test_conformance as of_sources
from tests.sources.formats import CHAT, NAMES, Sample

DOCUMENT: Final = "docs/extending.md"
WORDS: Final = "the quick fox eats cake 🎉 and naps, then the quick fox eats more cake"

# The whole contract of backends; `subject` is this module's.
for _name, _test in vars(of_backends).items():
    if _name.startswith("test_") and "subject" in _test.__code__.co_varnames:
        globals()[_name] = _test


def example(heading: str) -> ModuleType:
    """The code below a heading that begins so, as a module of its own."""
    (block,) = (one for one in blocks(DOCUMENT) if one.language == "python" and one.heading.startswith(heading))
    module = ModuleType(f"example_{len(heading)}")
    # Dataclasses look their module up.
    sys.modules[module.__name__] = module
    exec(compile(block.text, f"{DOCUMENT}:{block.line}", "exec"), module.__dict__)
    return module


@pytest.fixture(params=["parrot"])
def subject() -> Iterator[of_backends.Subject]:
    with closing(example("A backend").Parrot()) as backend:
        request = replace(of_backends.SHORT, turns=(Turn("you", WORDS, 0),), sampling=Sampling(temperature=0))
        yield of_backends.Subject(backend, request, None)


def _sample() -> Sample:
    """The chat that all sources are tested with, as a tea log."""
    head = b"#tea\t10\tTea house\t20\tkitchen\n"
    lines = [
        f"{said.id}\t{said.author}\t{NAMES[said.author][1]}\t{said.text.replace(chr(10), ' ')}\n".encode()
        for said in CHAT
    ]
    ends = [len(head) + sum(map(len, lines[: number + 1])) for number in range(len(lines))]
    spans = tuple((end - len(line), end) for end, line in zip(ends, lines, strict=True))
    return Sample("TeaLog", head + b"".join(lines), len(lines), spans, "kitchen.tea")


@pytest.mark.parametrize(
    "contract",
    [
        of_sources.test_a_whole_file_gives_all_of_it,
        of_sources.test_packed_files_give_the_same,
        of_sources.test_importing_again_adds_nothing,
        of_sources.test_a_file_cut_at_any_byte_gives_what_is_whole_and_says_where_it_broke,
        of_sources.test_files_cut_anywhere_and_then_whole_add_up,
        of_sources.test_who_was_erased_stays_erased,
        of_sources.test_a_survey_says_what_an_import_would_take_in_and_writes_nothing,
    ],
)
def test_a_source(contract: Callable[[Path, Sample], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "tea log", f"{example('A source').__name__}:TeaLog")
    contract(tmp_path, _sample())


def test_a_metric_tells_who_laughs_from_who_does_not(tmp_path: Path) -> None:
    laughter = example("A metric").laughter
    with ground_of(tmp_path) as ground, closing(recall(ground)) as backend, system_of(ground, backend) as system:
        jolly, dry = (
            laughter(system, ground, replies_of({one.id: text for one in ground.exchanges}, ground.exchanges), unheard)
            for text in ("hahaha no", "no.")
        )
    assert (jolly.figures["laughs"].value, dry.figures["laughs"].value) == (1, 0)
    assert 0 < jolly.figures["laughs_own"].value < 1
    assert len(jolly.items["laughs"]) == len(ground.exchanges)


def test_a_rule_of_the_filter() -> None:
    of = example("A filter")
    number, _language, _from, pattern = of.RULE.split(" ", 3)
    found = Patterns([Rule(f"slurs/{number}", codecs.decode(pattern, "rot13"))]).find
    assert found(read(of.FOUND)) == "slurs/999"
    assert found(read(of.FINE)) is None
