"""One system after another, by all measures, to one report.

In: openings, a ground, measures. Out: a report that holds figures, and some exchanges with what each system said to
them. What fails with a sentence (an engine, a missing package) leaves that sentence in its section, and the rest goes
on. The same seed gives the same report but for `date` and what measures time.
Not here: which systems there are, and where a report is kept (`store`).
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from sususbot import __version__
from sususbot.errors import CannotScore, SususError
from sususbot.evaluation.figures import Figure, Section
from sususbot.evaluation.ground import Exchange, Ground, Opening, System, Told
from sususbot.evaluation.replies import Replies
from sususbot.evaluation.standing import normalised_by
from sususbot.machine import machine

Measure = Callable[[System, Ground, Replies, Told], Section]
Speaking = Callable[[System, Ground, Told], Replies]
"""Makes a system's replies to all exchanges."""
Foretelling = Callable[[System, Ground], str | None]
Progress = Callable[[int, int, str], None]
"""Hears how many steps are done, of how many, and what is done now."""

FORMAT: Final = 1
# The system that is the same model without what it learned.
BASE: Final = "base"
_VOICE: Final = "voice"
# Exchanges that a report shows, and how much of the talk before each.
EXAMPLES: Final = 12
_SHOWN_BEFORE: Final = 4


@dataclass(frozen=True, slots=True)
class Spoken:
    """A line of talk as a report shows it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Example:
    """An exchange, and what each system said to it."""

    before: tuple[Spoken, ...]
    reply: Spoken
    said: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Report:
    """What an evaluation found. `systems`: name -> measure -> section, in the order they were measured.

    `exchanges` are their ids, in the order of every section's `items`. `corpus` has its name and the hashes of its
    files, `split_at` when what was kept apart begins (ms). `settings` are those that systems were made by.
    `failures`: system -> measure -> why it broke; what a backend cannot tell by its nature is no failure.
    """

    name: str
    date: str
    machine: str
    made_by: str
    seed: int
    corpus: Mapping[str, Any]
    split_at: int | None
    exchanges: tuple[int, ...]
    settings: Mapping[str, Any]
    systems: Mapping[str, Mapping[str, Section]]
    examples: tuple[Example, ...] = field(default=())
    failures: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Numbers that are none become null."""
        plain = orjson.dumps(self, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY)
        values: dict[str, Any] = orjson.loads(plain)
        return {"format": FORMAT, **values}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Report":
        """What `as_json` gave. Raises ValueError, KeyError or TypeError for anything else."""
        if values["format"] != FORMAT:
            raise ValueError(f"its format is {values['format']}, this version reads {FORMAT}")
        rest = {key: value for key, value in values.items() if key != "format"}
        rest["exchanges"] = tuple(values["exchanges"])
        rest["examples"] = tuple(map(_example, values["examples"]))
        rest["systems"] = {
            system: {name: _section(section) for name, section in sections.items()}
            for system, sections in values["systems"].items()
        }
        return cls(**rest)


def evaluate(
    openings: Mapping[str, Opening],
    ground: Ground,
    *,
    measures: Mapping[str, Measure],
    speak: Speaking | None,
    name: str,
    settings: Mapping[str, Any],
    told: Told,
    progress: Progress,
    finished: Callable[[Report], None] = lambda _: None,
    foretold: Foretelling = lambda *_: None,
) -> Report:
    """Measure every system. `speak` is None where no measure reads replies.

    A system is opened, asked, measured and closed before the next one is; before that one is, `finished` hears what was
    found until then. `foretold` gives a sentence on how long a system will take, once it is opened.
    """
    steps = _Steps(("loading", "replying", *measures), list(openings), told, progress, foretold)
    begun = _begun(ground, name, settings)
    found: dict[str, _Found] = {}
    for system, opening in openings.items():
        if found:
            finished(_report(begun, ground, found))
        found[system] = _measured(system, opening, ground, measures, speak, steps)
    return _report(begun, ground, found)


def _begun(ground: Ground, name: str, settings: Mapping[str, Any]) -> Report:
    """A report of nothing yet."""
    manifest = ground.corpus.manifest
    return Report(
        name=name,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine(),
        made_by=f"sususbot {__version__}",
        seed=ground.seed,
        corpus={"name": manifest["name"], "files": manifest["files"]},
        split_at=manifest.get("split_at"),
        exchanges=tuple(exchange.id for exchange in ground.exchanges),
        settings=settings,
        systems={},
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found of one system."""

    sections: dict[str, Section]
    replies: Replies
    failures: dict[str, str]


def _report(begun: Report, ground: Ground, found: Mapping[str, _Found]) -> Report:
    systems = {system: one.sections for system, one in found.items()}
    return replace(
        begun,
        systems=_over_base(systems, ground.seed),
        examples=_examples(ground, {system: one.replies for system, one in found.items()}),
        failures={system: one.failures for system, one in found.items() if one.failures},
    )


def _over_base(systems: Mapping[str, dict[str, Section]], seed: int) -> dict[str, dict[str, Section]]:
    """Each voice also as it stands between the base's, where that is there, and the persona's own."""
    floor = systems.get(BASE, {}).get(_VOICE)
    if floor is None:
        return dict(systems)
    return {
        system: {name: _voiced(one, floor, seed) if _is_voice(system, one) else one for name, one in sections.items()}
        for system, sections in systems.items()
    }


def _is_voice(system: str, section: Section) -> bool:
    return section.name == _VOICE and system != BASE and "attributed" in section.figures


def _voiced(section: Section, floor: Section, seed: int) -> Section:
    figure = normalised_by(section, floor, seed=seed)
    return replace(section, figures={**section.figures, "normalised_over_base": figure})


def _measured(
    name: str,
    opening: Opening,
    ground: Ground,
    measures: Mapping[str, Measure],
    speak: Speaking | None,
    steps: "_Steps",
) -> _Found:
    sections: dict[str, Section] = {}
    failures: dict[str, str] = {}
    replies: Replies = ()
    try:
        steps.begin(name, "loading")
        with opening(ground) as system:
            steps.foretell(system, ground)
            heard = steps.begin(name, "replying")
            replies = speak(system, ground, heard) if speak is not None else ()
            for which, measure in measures.items():
                heard = steps.begin(name, which)
                try:
                    sections[which] = measure(system, ground, replies, heard)
                except CannotScore as error:
                    sections[which] = Section(which, notes=(str(error),))
                except SususError as error:
                    steps.told(f"{name}: {which} was not measured: {error}")
                    sections[which] = Section(which, notes=(str(error),))
                    failures[which] = str(error)
    except SususError as error:
        # What was measured until then stays.
        steps.told(f"{name} was not measured: {error}")
        for which in measures:
            if which not in sections:
                sections[which] = Section(which, notes=(str(error),))
                failures[which] = str(error)
    return _Found(sections, replies, failures)


class _Steps:
    """How far it is: each system takes the same steps."""

    def __init__(
        self, steps: Sequence[str], systems: Sequence[str], told: Told, progress: Progress, foretold: Foretelling
    ) -> None:
        self.told = told
        self._foretold = foretold
        self._steps = steps
        self._systems = systems
        self._progress = progress

    def foretell(self, system: System, ground: Ground) -> None:
        if (sentence := self._foretold(system, ground)) is not None:
            self.told(sentence)

    def begin(self, system: str, step: str) -> Told:
        """A step begins; who is returned hears what happens within it."""
        done = self._systems.index(system) * len(self._steps) + self._steps.index(step)
        total = len(self._systems) * len(self._steps)
        self._progress(done, total, f"{system}: {step}")
        return lambda sentence: self._progress(done, total, f"{system}: {step}: {sentence}")


# -- examples


def _examples(ground: Ground, said: Mapping[str, Replies]) -> tuple[Example, ...]:
    """Exchanges drawn by the seed, of members who may all be quoted."""
    texts = {system: {one.exchange.id: one.text for one in replies} for system, replies in said.items() if replies}
    if not texts:
        return ()
    shown = [exchange for exchange in ground.exchanges if _may_be_shown(exchange, ground)]
    drawn = random.Random(ground.seed).sample(shown, min(EXAMPLES, len(shown)))
    return tuple(
        Example(
            before=tuple(Spoken(turn.speaker, turn.text) for turn in exchange.recent[-_SHOWN_BEFORE:]),
            reply=Spoken(exchange.author.display_name, exchange.reply),
            said={system: replies.get(exchange.id, "") for system, replies in texts.items()},
        )
        for exchange in sorted(drawn, key=lambda exchange: exchange.at)
    )


def _may_be_shown(exchange: Exchange, ground: Ground) -> bool:
    heard = {turn.author_id for turn in exchange.recent[-_SHOWN_BEFORE:] if not turn.own}
    people = {author for author in heard if author is not None} | {exchange.author.id}
    return None not in heard and people <= ground.archive.consents.may_quote(people)


# -- JSON


def _section(values: Mapping[str, Any]) -> Section:
    return Section(
        values["name"],
        {name: _figure(figure) for name, figure in values["figures"].items()},
        {name: [_number(item) for item in items] for name, items in values["items"].items()},
        tuple(values["notes"]),
    )


def _figure(values: Mapping[str, Any]) -> Figure:
    return Figure(**{**values, "value": _number(values["value"])})


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _example(values: Mapping[str, Any]) -> Example:
    return Example(
        tuple(Spoken(**spoken) for spoken in values["before"]), Spoken(**values["reply"]), dict(values["said"])
    )
