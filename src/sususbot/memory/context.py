"""Putting a prompt together under a hard token budget, and saying what did not fit.

Sections: persona, recent turns, memories, the message asked. Each has its share of the tokens, counted by the model's
own tokenizer, and never gets more. What is left out is part of the result, so that a trace can show it.
Filling: recent turns from the newest back; memories from the best down, each with its neighbours or not at all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sususbot import chat_format
from sususbot.errors import SettingsError
from sususbot.memory.long_term import Hit
from sususbot.memory.short_term import turn
from sususbot.messages import Message, Turn

CountTokens = Callable[[str], int]
CountAhead = Callable[[Sequence[str]], None]

# The persona may take this much of the prompt; the other sections share what it leaves.
PERSONA: Final = "persona"
RECENT: Final = "recent"
MEMORIES: Final = "memories"
MESSAGE: Final = "message"
MOST_PERSONA: Final = 0.25
SHARES: Final = {RECENT: 0.44, MEMORIES: 0.38, MESSAGE: 0.18}
# Beyond the parts counted one by one: the token that begins a text, and seams where two parts join into more tokens.
_SEAMS: Final = 8
# With less than this, not even a short message could be read.
_LEAST_MESSAGE: Final = 24
_CUT: Final = " …"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the prompt: its lines, the tokens they take, and the tokens they may take."""

    name: str
    lines: tuple[str, ...]
    used: int
    budget: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that did not make it into the prompt, and why."""

    section: str
    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Context:
    """A prompt and how it came about. `turns` is the conversation in it, the message asked last."""

    prompt: str
    turns: tuple[Turn, ...]
    sections: tuple[Section, ...]
    left_out: tuple[LeftOut, ...]
    memories: tuple[Hit, ...]

    @property
    def used(self) -> int:
        """Tokens of all sections together."""
        return sum(section.used for section in self.sections)


class ContextBuilder:
    """Builds contexts of one size for one bot."""

    def __init__(
        self,
        *,
        persona: str,
        own_name: str,
        tokens: int,
        count_tokens: CountTokens,
        count_ahead: CountAhead = lambda _texts: None,
    ) -> None:
        """`tokens` is what the whole prompt may take: the model's context less the reply. Raises SettingsError.

        `count_ahead` is told which texts `count_tokens` will be asked about.
        """
        self._count_ahead = count_ahead
        self._own_name = own_name
        self._count = count_tokens
        # Blank lines, the heading of the memories and the name that opens the reply.
        room = tokens - count_tokens(chat_format.prompt("", (), ("",), "", own_name)) - _SEAMS
        self._persona = persona.strip()
        self._persona_tokens = count_tokens(self._persona)
        rest = room - self._persona_tokens
        self._budgets = {PERSONA: int(room * MOST_PERSONA)} | {
            name: int(rest * share) for name, share in SHARES.items()
        }
        if self._persona_tokens > self._budgets[PERSONA]:
            raise SettingsError(
                f"PERSONA takes {self._persona_tokens} tokens, {self._budgets[PERSONA]} are free for it: "
                f"shorten it, or raise CONTEXT_TOKENS"
            )
        if self._budgets[MESSAGE] < _LEAST_MESSAGE:
            raise SettingsError(
                f"only {max(0, self._budgets[MESSAGE])} tokens are left for the message: raise CONTEXT_TOKENS, or "
                f"lower MAX_NEW_TOKENS"
            )

    def build(self, asked: Turn, recent: Sequence[Turn], hits: Sequence[Hit], channel_names: dict[int, str]) -> Context:
        """`recent` oldest first, without the message asked; `hits` best first."""
        left_out: list[LeftOut] = []
        self._count_ahead(
            [
                chat_format.line(asked),
                *(chat_format.line(one) + "\n" for one in recent),
                *(line + "\n" for hit in hits for line in _quoted(hit.around, channel_names)),
            ]
        )
        message = self._message(asked, left_out)
        turns, talk = self._recent(recent, left_out)
        memories, shown = self._memories(hits, channel_names, {turn.message_id for turn in (*turns, asked)}, left_out)
        persona = Section(PERSONA, (self._persona,), self._persona_tokens, self._budgets[PERSONA])
        prompt = chat_format.prompt(self._persona, talk.lines, memories.lines, message.lines[0], self._own_name)
        return Context(prompt, (*turns, asked), (persona, talk, memories, message), tuple(left_out), tuple(shown))

    def _message(self, asked: Turn, left_out: list[LeftOut]) -> Section:
        """The message itself; one that is too long loses its end."""
        budget, line = self._budgets[MESSAGE], chat_format.line(asked)
        used = self._count(line)
        if used > budget:
            text = whole = chat_format.one_line(asked.text)
            speaker = asked.speaker
            if self._count(chat_format.speaker(speaker)) > budget // 2:
                left_out.append(LeftOut(MESSAGE, "the name", "it is so long that no words would fit"))
                speaker = ""
            while True:
                line = chat_format.line(replace(asked, speaker=speaker, text=text)) + _CUT
                used = self._count(line)
                if used <= budget or not text:
                    break
                # Aim by the ratio, then step down: tokens a character vary.
                text = text[: min(len(text) - 1, len(text) * budget // used)]
            if dropped := len(whole) - len(text):
                left_out.append(LeftOut(MESSAGE, f"the last {dropped} characters", "the message is too long"))
        return Section(MESSAGE, (line,), used, budget)

    def _recent(self, recent: Sequence[Turn], left_out: list[LeftOut]) -> tuple[list[Turn], Section]:
        budget, used = self._budgets[RECENT], 0
        kept: list[tuple[Turn, str]] = []
        for one in reversed(recent):
            text = chat_format.line(one)
            tokens = self._count(text + "\n")
            if used + tokens > budget:
                left_out.append(
                    LeftOut(RECENT, f"{len(recent) - len(kept)} older turns", f"budget of {budget} tokens is full")
                )
                break
            kept.append((one, text))
            used += tokens
        kept.reverse()
        return [one for one, _ in kept], Section(RECENT, tuple(text for _, text in kept), used, budget)

    def _memories(
        self, hits: Sequence[Hit], names: dict[int, str], shown_ids: set[int | None], left_out: list[LeftOut]
    ) -> tuple[Section, list[Hit]]:
        """Whole memories, best first while they fit; in the prompt the best stands last, next to the question."""
        budget, used = self._budgets[MEMORIES], 0
        seen = {id_ for id_ in shown_ids if id_ is not None}
        shown: list[Hit] = []
        blocks: list[list[str]] = []
        for hit in hits:
            if hit.message.id in seen:
                left_out.append(LeftOut(MEMORIES, _label(hit), "shown already"))
                continue
            fresh = [message for message in hit.around if message.id not in seen]
            full = f"budget of {budget} tokens is full"
            lines, tokens = self._counted(fresh, names)
            if used + tokens > budget and len(fresh) > 1:
                # Its neighbours do not fit; the memory itself may.
                left_out.append(LeftOut(MEMORIES, f"{len(fresh) - 1} messages around {_label(hit)}", full))
                fresh = [hit.message]
                lines, tokens = self._counted(fresh, names)
            if used + tokens > budget:
                left_out.append(LeftOut(MEMORIES, _label(hit), full))
                continue
            used += tokens
            seen.update(message.id for message in fresh)
            shown.append(replace(hit, around=tuple(fresh)))
            blocks.append(lines)
        ordered = tuple(line for block in reversed(blocks) for line in block)
        return Section(MEMORIES, ordered, used, budget), shown

    def _counted(self, messages: Sequence[Message], names: dict[int, str]) -> tuple[list[str], int]:
        """Lines of a memory, and their tokens."""
        lines = _quoted(messages, names)
        return lines, sum(self._count(line + "\n") for line in lines)


def _quoted(messages: Sequence[Message], names: dict[int, str]) -> list[str]:
    return [chat_format.quoted_line(turn(message), names.get(message.channel_id, "?")) for message in messages]


def _label(hit: Hit) -> str:
    text = chat_format.line(turn(hit.message))
    return text if len(text) <= 60 else text[:59] + "…"
