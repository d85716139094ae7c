"""Putting a prompt together under a hard token budget, and saying what did not fit.

Sections: persona, recent turns, memories, the message asked. Each has its share of the tokens, counted by the model's
own tokenizer, and never gets more. What is left out is part of the result, so that a trace can show it.
Filling: recent turns from the newest back; memories from the best down, each with its neighbours or not at all.
Without memories a prompt is, to the letter, what training reads of the same turns: texts rewritten by the same rules
(`wording`), and what a member says in one go on one line (`chat_format`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, NamedTuple

from sususbot import chat_format
from sususbot.chat_format import Names
from sususbot.errors import SettingsError
from sususbot.memory import short_term
from sususbot.memory.long_term import Hit
from sususbot.messages import Author, Message, Turn
from sususbot.wording.rules import Rewriting, Rewritten

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
# Rewritten texts that are kept: a window moves by a message or two, and the same old messages are found often.
_TEXTS: Final = 1024
# Read once at the start: what is loaded to tell numbers apart would cost the first replies 40 ms.
_NUMBERS: Final = "call 555-123-4567 or 0151 23456789 or 1 234 567 890 or 12 345 678 90 12, card 4111 1111 1111 1111"


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
    """A prompt and how it came about. `turns` is the conversation in it as it was said, the message asked last.

    `speakers` are the names of others in it.
    """

    prompt: str
    turns: tuple[Turn, ...]
    sections: tuple[Section, ...]
    left_out: tuple[LeftOut, ...]
    memories: tuple[Hit, ...]
    speakers: frozenset[str] = frozenset()

    @property
    def used(self) -> int:
        """Tokens of all sections together."""
        return sum(section.used for section in self.sections)


# Whose words: an account, a name where there is none (terminal), None for the bot.
_Who = int | str | None


@dataclass(frozen=True, slots=True)
class _Piece:
    """A turn as a model reads it, or a piece of a long one; `begins`: the first."""

    turn: Turn
    author_id: _Who
    at: int
    text: str
    marked: bool
    reply_to: int | None
    begins: bool


class _Line(NamedTuple):
    """A line of a prompt and what it is made of."""

    text: str
    pieces: Sequence[_Piece]


class _Cast:
    """Everybody in a context, and what they are called in it."""

    def __init__(self, own: Author | None, turns: Sequence[Turn], hits: Sequence[Hit], own_name: str) -> None:
        people: dict[_Who, tuple[str, str]] = {} if own is None else {None: (own.display_name, own.name)}
        for one in turns:
            people.setdefault(_who(one), (one.speaker, one.account))
        for author in (message.author for hit in hits for message in hit.around):
            people.setdefault(author.id, (author.display_name, author.name))
        self._names = Names(people, own_name)
        self._called = self._names.of(people, None)

    def name(self, who: _Who) -> str:
        return self._called[who]

    def turn(self, who: _Who, text: str, at: int) -> Turn:
        """What somebody said, as a model is shown it."""
        return Turn(self._called[who], self._names.with_own(text, None), at)


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
        rewriting: Rewriting | None = None,
        run_ms: int = chat_format.RUN_MS,
    ) -> None:
        """`tokens` is what the whole prompt may take: the model's context less the reply. Raises SettingsError.

        `count_ahead` is told which texts `count_tokens` will be asked about. `rewriting` and `run_ms` are those that
        the corpus was built by.
        """
        self._count_ahead = count_ahead
        self._rewriting = rewriting or Rewriting()
        self._rewritten = lru_cache(_TEXTS)(self._rewriting.of)
        self._read(_NUMBERS)
        self._run_ms = run_ms
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

    def build(
        self,
        asked: Turn,
        recent: Sequence[Turn],
        hits: Sequence[Hit],
        channel_names: dict[int, str],
        own_account: Author | None = None,
    ) -> Context:
        """`recent` oldest first, without the message asked; `hits` best first; `own_account` is the bot's."""
        left_out: list[LeftOut] = []
        cast = _Cast(own_account, [*recent, asked], hits, self._own_name)
        lines = self._lines([*recent, asked], cast)
        # The message begins here, perhaps in a line that its writer had begun before.
        border = next(place for place, line in enumerate(lines) if any(one.turn is asked for one in line.pieces))
        talk, ending = lines[:border], lines[border:]
        found = {one.id: one for hit in hits for one in hit.around}
        quoted = {id_: self._quoted(one, channel_names, cast) for id_, one in found.items()}
        self._count_ahead(
            [_text(ending), *(line.text + "\n" for line in talk), *(line + "\n" for line in quoted.values())]
        )
        text, used = _text(ending), self._count(_text(ending))
        if used > self._budgets[MESSAGE]:
            talk, ending = self._lines(recent, cast), []
            text, used = self._shortened(asked, cast, left_out)
        kept, spent = self._newest(talk)
        turns = [*_turns(kept), *_turns(ending)[:-1]]
        if older := len(recent) - len(turns):
            full = f"budget of {self._budgets[RECENT]} tokens is full"
            left_out.append(LeftOut(RECENT, f"{older} older turns", full))
        memories, shown = self._memories(hits, quoted, {one.message_id for one in (*turns, asked)}, left_out)
        sections = (
            Section(PERSONA, (self._persona,), self._persona_tokens, self._budgets[PERSONA]),
            Section(RECENT, tuple(line.text for line in kept), spent, self._budgets[RECENT]),
            memories,
            Section(MESSAGE, tuple(text.split("\n")), used, self._budgets[MESSAGE]),
        )
        others = {_who(one) for one in (*turns, asked) if not one.own}
        others |= {one.author.id for hit in shown for one in hit.around}
        return Context(
            chat_format.prompt(self._persona, sections[1].lines, memories.lines, text, self._own_name),
            (*turns, asked),
            sections,
            tuple(left_out),
            tuple(shown),
            frozenset(map(cast.name, others)),
        )

    def _read(self, text: str) -> Rewritten:
        """A text as it is read. Names that stand in it by id are looked up each time: they change, or must go."""
        return (self._rewriting.of if "<@" in text else self._rewritten)(text)

    def _pieces(self, turn: Turn) -> list[_Piece]:
        """A turn as it is read: one piece, or several of a long one."""
        left = self._read(turn.text)
        return [
            _Piece(turn, _who(turn), turn.at, part, left.marked, turn.reply_to, begins=number == 0)
            for number, part in enumerate(self._rewriting.parts(left.text))
        ]

    def _lines(self, turns: Sequence[Turn], cast: _Cast) -> list[_Line]:
        pieces = (piece for one in turns for piece in self._pieces(one))
        joined = (("\n".join(one.text for one in run), run) for run in chat_format.runs(pieces, self._run_ms))
        return [_Line(chat_format.line(cast.turn(run[0].author_id, text, run[0].at)), run) for text, run in joined]

    def _shortened(self, asked: Turn, cast: _Cast, left_out: list[LeftOut]) -> tuple[str, int]:
        """The message by itself, and its tokens; one that is too long loses its end."""
        budget = self._budgets[MESSAGE]
        turn = cast.turn(_who(asked), self._read(asked.text).text, asked.at)
        whole, shown = turn.text, self._alone(turn)
        if self._count(shown) > budget and self._count(chat_format.speaker(turn.speaker)) > budget // 2:
            left_out.append(LeftOut(MESSAGE, "the name", "it is so long that no words would fit"))
            turn = replace(turn, speaker="")
            shown = self._alone(turn)
        while (used := self._count(shown)) > budget and turn.text:
            # Aim by the ratio, then step down: tokens a character vary.
            turn = replace(turn, text=turn.text[: min(len(turn.text) - 1, len(turn.text) * budget // used)])
            shown = self._alone(turn) + _CUT
        if dropped := len(whole) - len(turn.text):
            left_out.append(LeftOut(MESSAGE, f"the last {dropped} characters", "the message is too long"))
        return shown, used

    def _alone(self, turn: Turn) -> str:
        """A turn by itself, as it is read."""
        return "\n".join(chat_format.line(replace(turn, text=part)) for part in self._rewriting.parts(turn.text))

    def _newest(self, lines: Sequence[_Line]) -> tuple[list[_Line], int]:
        """The last lines that fit, and their tokens; of a long turn all of its lines or none."""
        kept, used = len(lines), 0
        tokens = 0
        for place in reversed(range(len(lines))):
            tokens += self._count(lines[place].text + "\n")
            if tokens > self._budgets[RECENT]:
                break
            if lines[place].pieces[0].begins:
                kept, used = place, tokens
        return list(lines[kept:]), used

    def _memories(
        self, hits: Sequence[Hit], quoted: dict[int, str], shown_ids: set[int | None], left_out: list[LeftOut]
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
            lines, tokens = self._counted(fresh, quoted)
            if used + tokens > budget and len(fresh) > 1:
                # Its neighbours do not fit; the memory itself may.
                left_out.append(LeftOut(MEMORIES, f"{len(fresh) - 1} messages around {_label(hit)}", full))
                fresh = [hit.message]
                lines, tokens = self._counted(fresh, quoted)
            if used + tokens > budget:
                left_out.append(LeftOut(MEMORIES, _label(hit), full))
                continue
            used += tokens
            seen.update(message.id for message in fresh)
            shown.append(replace(hit, around=tuple(fresh)))
            blocks.append(lines)
        ordered = tuple(line for block in reversed(blocks) for line in block)
        return Section(MEMORIES, ordered, used, budget), shown

    def _counted(self, messages: Sequence[Message], quoted: dict[int, str]) -> tuple[list[str], int]:
        """Lines of a memory, and their tokens."""
        lines = [quoted[message.id] for message in messages]
        return lines, sum(self._count(line + "\n") for line in lines)

    def _quoted(self, message: Message, channel_names: dict[int, str], cast: _Cast) -> str:
        quoted = cast.turn(message.author.id, self._read(message.rendered).text, message.created_at)
        return chat_format.quoted_line(quoted, channel_names.get(message.channel_id, "?"))


def _who(turn: Turn) -> _Who:
    if turn.own:
        return None
    return turn.author_id if turn.author_id is not None else turn.speaker


def _text(lines: Sequence[_Line]) -> str:
    return "\n".join(line.text for line in lines)


def _turns(lines: Sequence[_Line]) -> list[Turn]:
    """Those that begin in these lines."""
    return [piece.turn for line in lines for piece in line.pieces if piece.begins]


def _label(hit: Hit) -> str:
    text = chat_format.line(short_term.turn(hit.message))
    return text if len(text) <= 60 else text[:59] + "…"
