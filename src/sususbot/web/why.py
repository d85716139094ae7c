"""Why a reply is what it is, drawn: who answered and how, what its prompt was made of, how long each step took.

The values are those of the trace; `explaining` says the same in the terminal. All of it is the owner's to see, and
every word of a member is drawn as text.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Final

from nicegui import html

from sususbot.memory.context import Context
from sususbot.memory.surroundings import Hit
from sususbot.messages import day
from sususbot.responder import Trace
from sususbot.web.talks import Answer
from sususbot.web.theme import CHART

# Smaller parts of a score would read 0.00.
_SEEN: Final = 0.005
_WIDEST: Final = 200
# What `seconds` of a trace counts within another of its steps, or as all of them.
_WHOLES: Final = frozenset({"context", "total"})


def draw(answer: Answer) -> None:
    """The whole panel."""
    trace = answer.reply.trace
    with html.div().classes("why-grid"):
        _answered(answer)
        _tokens(trace.context)
        _times(trace.seconds)
        _memories(trace)
        _turns(trace.context)
        _left_out(trace.context)


def _answered(answer: Answer) -> None:
    """Engine, knobs, and every step down on the way."""
    trace = answer.reply.trace
    generation, usage, drawn = trace.generation, trace.generation.usage, answer.sampling
    with _part("Answered by"):
        with html.dl().classes("facts"):
            _fact("engine", generation.backend)
            if (model := answer.engine.get("model")) is not None:
                _fact("model", str(model))
            if answer.adapter:
                _fact("adapter", answer.adapter)
            _fact("seed", str(drawn.seed))
            _fact(
                "drawn with",
                f"temperature {drawn.temperature:g}, top p {drawn.top_p:g}, min p {drawn.min_p:g}, "
                f"top k {drawn.top_k}, at most {drawn.max_new_tokens} tokens",
            )
            if usage.prompt:
                _fact("tokens", f"{usage.prompt} read, {usage.cached} of them cached, {usage.completion} written")
        if (source := generation.source) is not None:
            in_answer = f', in answer to "{_short(source.answers)}"' if source.answers else ""
            html.p(f"said by {source.author} on {day(source.at)}{in_answer} (fits {source.score:.2f})")
        for fallback in generation.fallbacks:
            html.p(f"not by {fallback.backend}: {fallback.reason}").classes("warn")
        for hit in trace.filtered:
            html.p(f"held back by the filter: {hit.category} ({hit.rule})").classes("warn")


def _tokens(context: Context) -> None:
    budget = sum(section.budget for section in context.sections)
    with _part(f"Tokens: {context.used:,} of {budget:,}"):
        names = [section.name for section in context.sections]
        _stacked([section.used for section in context.sections], names, max(1, budget), "tokens")
        _legend([(section.name, f"{section.used} of {section.budget}") for section in context.sections])


def _times(seconds: Mapping[str, float]) -> None:
    steps = {name: took * 1000 for name, took in seconds.items() if name not in _WHOLES and name != "first_token"}
    total = seconds.get("total", 0.0) * 1000
    with _part(f"Time: {total:,.0f} ms"):
        _stacked(list(steps.values()), list(steps), max(total, sum(steps.values()), 0.001), "ms")
        _legend([(name.replace("_", " "), f"{took:,.1f} ms") for name, took in steps.items()])
        if (first := seconds.get("first_token")) is not None:
            html.p(f"first token after {first * 1000:,.0f} ms in the model").classes("note")


def _memories(trace: Trace) -> None:
    how = "meaning and words" if trace.searched_by_meaning else "words alone"
    memories = trace.context.memories
    with _part(f"Memories, by {how}", wide=True):
        if not memories:
            html.p("none").classes("note")
        highest = max((abs(part) for hit in memories for part in hit.parts.values()), default=1.0) or 1.0
        for hit in memories:
            _memory(hit, highest)


def _memory(hit: Hit, highest: float) -> None:
    message = hit.message
    with html.div().classes("memory"):
        with html.p():
            html.span(f"{hit.score:.2f}").classes("score figure")
            html.span(f"{message.author.display_name}: {_short(message.rendered)}")
        beside = len(hit.around) - 1
        around = f", with {beside} message{'s' * (beside > 1)} around it" if beside else ""
        html.p(f"{day(message.created_at)}{around}").classes("note")
        with html.ul().classes("parts"):
            for name, value in hit.parts.items():
                if abs(value) >= _SEEN:
                    with html.li():
                        html.span(name.replace("_", " ")).classes("part-name")
                        with html.span().classes("part-bar"):
                            width = f"width:{abs(value) / highest * 100:.0f}%"
                            html.span().classes("fill" if value > 0 else "fill minus").style(width)
                        html.span(f"{value:+.2f}").classes("figure")


def _turns(context: Context) -> None:
    """What was said before, with what each line matters where that decided; and the summary of what was before that."""
    summary = [section for section in context.sections if section.name == "summary" and section.lines]
    why = next((section.why for section in context.sections if section.name == "recent"), "")
    *before, _ = context.turns
    with _part("Recent turns" + (f", {why}" if why else "")):
        for section in summary:
            html.p(f"Summary of {section.why}").classes("note")
            for line in section.lines:
                html.p(_short(line))
        if not before:
            html.p("none").classes("note")
        for turn, matters in zip_longest(before, context.relevance):
            weight = "" if matters is None else f"{matters:.2f}  "
            html.p(f"{weight}{turn.speaker}: {_short(turn.text)}")


def _left_out(context: Context) -> None:
    with _part("Left out"):
        if not context.left_out:
            html.p("nothing").classes("note")
        for out in context.left_out:
            html.p(f"{out.section}: {_short(out.what)} ({out.reason})")


def _part(heading: str, *, wide: bool = False) -> html.section:
    """A part of the panel, to be filled."""
    part = html.section().classes("why-part wide" if wide else "why-part")
    with part:
        html.h3(heading)
    return part


def _fact(name: str, value: str) -> None:
    html.dt(name)
    html.dd(value)


def _stacked(values: Sequence[float], names: Sequence[str], whole: float, unit: str) -> None:
    """One bar; what it shows stands in the legend as well, so it says nothing to a screen reader."""
    with html.div().classes("stacked").props('aria-hidden="true"'):
        for name, value, colour in zip(names, values, _colours(), strict=False):
            share = f"width:{value / whole * 100:.2f}%;background:{colour}"
            html.span().style(share).props["title"] = f"{name}: {value:,.0f} {unit}"


def _legend(entries: Sequence[tuple[str, str]]) -> None:
    with html.ul().classes("legend"):
        for (name, value), colour in zip(entries, _colours(), strict=False):
            with html.li():
                html.span().classes("dot").style(f"background:{colour}")
                html.span(name)
                html.span(value).classes("figure muted")


def _colours() -> Iterator[str]:
    while True:
        yield from CHART


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
