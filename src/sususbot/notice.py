"""What members are told, and the privacy policy of a server: plain words, filled in from the settings.

Two texts. The **notice** is to be posted where all members read it; the **policy** is PRIVACY.md, which Discord's
Developer Terms (section 5(a)) want to be linked in the developer portal. Both say what the program does and no more;
`docs/privacy.md` says how.
"""

from dataclasses import dataclass
from typing import Final

_NOBODY: Final = "the owner of this server"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the texts depend on."""

    bot: str
    consent: str = "opt-out"
    contact: str | None = None
    retention_days: int | None = None
    training: bool = False
    model_server: str | None = None
    vector_server: str | None = None

    @property
    def whom(self) -> str:
        return self.contact or _NOBODY

    @property
    def kept_for(self) -> str:
        if self.retention_days is None:
            return "until you delete it on Discord, say no, or ask to be forgotten"
        days = "1 day" if self.retention_days == 1 else f"{self.retention_days} days"
        return f"for {days}, or until you delete it on Discord, say no, or ask to be forgotten"

    @property
    def searched_elsewhere(self) -> str:
        if self.vector_server is None:
            return ""
        return f"For search, numbers made from each message, but no words, lie on the server at {self.vector_server}. "

    @property
    def purposes(self) -> str:
        learned = "to learn how this server talks, " if self.training else ""
        return f"{learned}to remember what was said, and to quote it"


_SILENCE: Final = {
    "opt-out": (
        "**If you say nothing, that counts as a yes.** You may say no at any time, to all of it or to a part: to being "
        "learned from, remembered, or quoted."
    ),
    "opt-in": (
        "**What you write is kept, but not used, unless you say yes.** You may say yes to all of it or to a part: to "
        "being learned from, remembered, or quoted; and take it back at any time. A no to being learned from and "
        "remembered takes away what is kept, too."
    ),
    "all": (
        "**Everybody here has agreed to this.** You may still say no at any time, to all of it or to a part: to being "
        "learned from, remembered, or quoted."
    ),
}


def notice(facts: Facts) -> str:
    """For the server; short enough for one message on Discord."""
    elsewhere = (
        f"What it answers with is put into words by the model server at {facts.model_server}; nothing else leaves that "
        "computer but its answers."
        if facts.model_server
        else f"Nothing {'else ' if facts.vector_server else ''}leaves that computer but its answers. Nothing is sold "
        "or passed on."
    )
    elsewhere = facts.searched_elsewhere + elsewhere
    return f"""**{facts.bot} is a bot that remembers this server**

When you @mention {facts.bot}, it answers from what was said here before. It is a program, not one of us.

**What is kept:** messages of the channels it reads, with time, author, reactions, and the names of attached files; \
notes you give it (`/remember`). No pictures, no private messages. It lies on one computer, run by {facts.whom}. \
{elsewhere}
**What for:** {facts.purposes}. Memories of a channel are only used where all who read the answer may read that channel.
**For how long:** {facts.kept_for}.

{_SILENCE[facts.consent]}

**To say no, to say yes, or to be forgotten**, use commands whose answers only you see, or tell {facts.whom}; \
no reason is needed. Your own word counts before anybody else's.
- `/opt-out`: to say **no**, to all of it or a part. A no to being learned from and remembered takes your words out, \
and nothing new is kept. `/opt-in` says yes.
- `/forget-me`: **Forget me.** Your words and your name are erased for good, also from the search and from what \
training reads.
- Delete or edit a message on Discord, and the bot's memory does the same.

`/why` shows what an answer was made of. Questions, or something wrong? `/help`, or tell {facts.whom}.
"""


def policy(facts: Facts) -> str:
    """PRIVACY.md."""
    training = (
        "- **Learning** how the server talks: a language model is adjusted to messages of members who agreed. Discord "
        "gave its permission for this (Developer Policy, rule 21).\n"
        if facts.training
        else ""
    )
    elsewhere = (
        f"Answers are put into words by the model server at {facts.model_server}, which is sent the question, recent "
        "messages and memories that fit. Apart from that and Discord, nobody is sent anything."
        if facts.model_server
        else f"Nobody {'else ' if facts.vector_server else ''}but Discord is sent anything, and Discord only the bot's "
        "answers."
    )
    elsewhere = facts.searched_elsewhere + elsewhere
    silence = _SILENCE[facts.consent].replace("**", "")
    return f"""# Privacy policy of {facts.bot}

{facts.bot} is a self-hosted Discord bot that answers from what was said on its server before.

## What is kept

Messages of the channels that the bot reads: text, time of writing and editing, channel, author (id and names), replies,
mentions, reactions (emoji and count, not whose), and names, sizes and addresses of attached files. Not the files
themselves, no private messages, no member lists, no presence. Besides: notes that members have it write down
(`/remember`), and what each member said about the use of their words, when, and how. For search, numbers made from each
message (embeddings) are kept beside it.

## Why

- **Remembering**: to find what was said when somebody asks the bot.
- **Quoting**: to say a line again that a member once said.
{training}
For nothing else: no advertising, no profiles, no sale, no statistics about members for anybody but the owner.

## Who has it

It lies on a computer run by {facts.whom}. {elsewhere}

## Your choice

{silence} The three answers are independent and each is kept with its date; your own word counts before anybody else's.

## For how long

Kept {facts.kept_for}. What you delete or edit on Discord is deleted or changed here too.

## How to have it deleted

Use the bot's commands on the server, or tell {facts.whom}; no reason is needed.

- **No** to being learned from and remembered (`/opt-out`): your words leave the archive, the search, the vectors and
  the training files; nothing new of yours is kept. After a later yes (`/opt-in`) new words are kept again; old ones
  come back only if the history is imported anew.
- **Forget me** (`/forget-me`): the same, for good, and your names go too. Your account's id is kept, so that a later
  import knows whom to leave out.

A model that learned from your words before cannot unlearn them: it is marked as stale, and not used until it is trained
again without you, unless the owner of the bot insists.

A note can be taken back with the button under the bot's answer. You may also ask what is kept about you, have it
corrected, or complain to your data protection authority.

## Contact

{facts.whom[0].upper()}{facts.whom[1:]}. Something wrong with your data is told to you and to Discord without delay.
"""
