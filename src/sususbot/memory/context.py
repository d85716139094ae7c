"""Putting a prompt together under a hard token budget, and saying what did not fit.

Sections, what changes least first: persona, summary, memories that stay as long as the window does (`lasting`), recent
turns, memories that are new, the message asked. Each has its share of
the tokens (`sections`), counted by the model's own tokenizer, and never gets more. What is left out is part of the
result, and why what is shown was chosen, so that a trace can tell.
Without summary and memories a prompt is, to the letter, what training reads of the same turns: texts rewritten by the
same rules (`wording`), and what a member says in one go on one line (`chat_format`).
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sususbot import chat_format
from sususbot.memory import excerpts
from sususbot.memory import gist as gists
from sususbot.memory.excerpts import Excerpts, Known
from sususbot.memory.gist import Gist
from sususbot.memory.lasting import Lasting, Standing
from sususbot.memory.recent import RecentTurns, Relevance, Talk
from sususbot.memory.sections import (
    MEMORIES,
    MESSAGE,
    PERSONA,
    RECENT,
    SUMMARY,
    CountAhead,
    CountTokens,
    LeftOut,
    Section,
    budgets,
)
from sususbot.memory.summary import Summary
from sususbot.memory.surroundings import Hit
from sususbot.memory.transcript import Cast, Transcript, joined, who
from sususbot.messages import Audience, Author, Turn
from sususbot.wording.rules import Rewriting

# Of what memories may take, so much is for new ones where the others stay above the talk.
_NEW: Final = 0.2


@dataclass(frozen=True, slots=True)
class Context:
    """A prompt and how it came about. `turns` is the conversation in it as it was said, the message asked last.

    `speakers` are the names of others in it. `relevance` says what each turn but the last matters, where that decided
    which are shown. `summary` is what was known of the talk before, if any of it is shown.
    """

    prompt: str
    turns: tuple[Turn, ...]
    sections: tuple[Section, ...]
    left_out: tuple[LeftOut, ...]
    memories: tuple[Hit, ...]
    speakers: frozenset[str] = frozenset()
    summary: Summary | None = None
    relevance: tuple[float, ...] = ()

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
        rewriting: Rewriting | None = None,
        run_ms: int = chat_format.RUN_MS,
        relevance: Relevance | None = None,
        lasting: Lasting | None = None,
    ) -> None:
        """`tokens` is what the whole prompt may take: the model's context less the reply. Raises SettingsError.

        `count_ahead` is told which texts `count_tokens` will be asked about. `rewriting` and `run_ms` are those that
        the corpus was built by. `relevance` decides which recent turns are shown where not all of them fit. With
        `lasting` most memories stay above the talk as long as its beginning is the same.
        """
        self._lasting = lasting
        self._count_ahead = count_ahead
        self._own_name = own_name
        self._count = count_tokens
        self._transcript = Transcript(rewriting, run_ms)
        self._persona = persona.strip()
        self._persona_tokens = count_tokens(self._persona)
        # Blank lines, and the name that opens the reply.
        frame = count_tokens(chat_format.prompt("", (), ("",), "", own_name, gist=("",)))
        self._budgets = budgets(tokens, frame, self._persona_tokens)
        self._recent = RecentTurns(self._transcript, count_tokens, count_ahead, relevance, self._budgets[MESSAGE])

    def placing(self, lasting: Lasting | None) -> "ContextBuilder":
        """The same, with other places for memories: above the talk in windows of its own, or by the message."""
        other = copy.copy(self)
        other._lasting = lasting
        return other

    def build(
        self,
        asked: Turn,
        recent: Sequence[Turn],
        hits: Sequence[Hit],
        channel_names: Mapping[int, str],
        own_account: Author | None = None,
        summary: Summary | None = None,
        audience: Audience = None,
    ) -> Context:
        """`recent` oldest first, without the message asked; `hits` best first; `own_account` is the bot's.

        `summary` is of what was said in the channel before `recent`; `audience` is what the hits were found for.
        """
        window = self._lasting.begins(recent) if self._lasting else None
        standing = self._lasting.of(window, audience) if self._lasting and window is not None else None
        stood = standing or Standing((), ())
        cast = Cast(own_account, [*recent, asked], [*stood.hits, *hits], self._own_name)
        parted = self._recent.parted(asked, recent, cast)
        told = self._transcript.gist(summary.text, cast) if summary else []
        around = {one.id: one for hit in hits for one in hit.around} | {one.id: one for one in stood.quoted}
        quoted = {id_: self._transcript.quoted(one, channel_names, cast) for id_, one in around.items()}
        lines = [*(line.text for line in parted.before), *told, *quoted.values()]
        self._count_ahead([joined(parted.ending), *(line + "\n" for line in lines)])
        gist = gists.choose(summary, told, self._count, self._budgets[SUMMARY])
        talk = self._recent.choose(asked, recent, parted, cast, self._room_for_recent(gist, (*stood.hits, *hits)))
        known = Known.of((*talk.turns, asked), summary if gist.shown else None)
        above = excerpts.again(stood.quoted, stood.hits, quoted, self._count, asked.at)
        known.tell(stood.quoted)
        room = self._room_for_memories(talk) if hits else 0
        if window is not None:
            room = self._room_with_lasting(above.section.used, first=standing is None)
        found = excerpts.choose(hits, quoted, self._count, room, known, asked)
        if self._lasting is not None and window is not None and standing is None:
            self._lasting.keep(window, audience, Standing(found.hits, found.quoted))
            above, found = found, excerpts.again((), (), {}, self._count, asked.at)
        return self._context((*talk.turns, asked), cast, gist, talk, above, found, summary)

    def _room_with_lasting(self, used: int, *, first: bool) -> int:
        """Nothing that changes with each message takes more than its share, however little the others need."""
        budget = self._budgets[MEMORIES]
        new = int(budget * _NEW)
        return budget - new if first else max(new, budget - used)

    def _room_for_recent(self, gist: Gist, hits: Sequence[Hit]) -> int:
        unneeded = gist.section.budget - gist.section.used + (0 if hits else self._budgets[MEMORIES])
        return self._budgets[RECENT] + unneeded

    def _room_for_memories(self, talk: Talk) -> int:
        unneeded = sum(section.budget - section.used for section in (talk.recent, talk.message))
        return self._budgets[MEMORIES] + unneeded

    def _context(
        self,
        turns: tuple[Turn, ...],
        cast: Cast,
        gist: Gist,
        talk: Talk,
        above: Excerpts,
        found: Excerpts,
        summary: Summary | None,
    ) -> Context:
        asked = "\n".join(talk.message.lines)
        people = {who(one) for one in turns if not one.own} | {
            one.author.id for hit in (*above.hits, *found.hits) for one in hit.around
        }
        memories = replace(
            found.section,
            lines=(*above.section.lines, *found.section.lines),
            used=above.section.used + found.section.used,
            budget=max(found.section.budget + above.section.used, self._budgets[MEMORIES])
            if above.hits
            else found.section.budget,
        )
        persona = Section(PERSONA, (self._persona,), self._persona_tokens, self._budgets[PERSONA])
        return Context(
            prompt=chat_format.prompt(
                self._persona,
                talk.recent.lines,
                found.shown,
                asked,
                self._own_name,
                gist=gist.shown,
                lasting=above.shown,
            ),
            turns=turns,
            sections=(persona, gist.section, talk.recent, memories, talk.message),
            left_out=(*gist.left_out, *talk.left_out, *above.left_out, *found.left_out),
            memories=(*above.hits, *found.hits),
            speakers=frozenset(map(cast.name, people)),
            summary=summary if gist.shown else None,
            relevance=talk.relevance,
        )
