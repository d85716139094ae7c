"""A hundred thousand outputs with every form of a ping, as a bot would send them: none pings anybody.

Judged by the stand-in's own reckoning of who is pinged: with what the bot allows, which is nothing, and with what
Discord allows when a bot says nothing of it, so that the text alone is harmless but for the names of members who spoke,
which the rendering makes visible.
"""

import random
from typing import Final

import discord

from sususbot import chat_format
from sususbot.bot.rendering import Places, parts
from sususbot.safety.filter import OutputFilter
from sususbot.safety.pings import mention_safe
from sususbot.standin.pings import find_pings, parse_allowed

OUTPUTS: Final = 100_000
MEMBERS: Final = {"mia": 3, "tom b": 4, "everyone": 5, "here": 6, "&9": 7, "12": 8}
USERS: Final = (*MEMBERS.values(), 100, 101, 123456789012345678)
ROLES: Final = (9, 100, 101, 123456789012345678)
PLACES: Final = Places(MEMBERS, {"general": 20, "everyone": 21}, {"tea": "<:tea:30>", "here": "<:here:31>"})

PINGS: Final = (
    "@everyone", "@here", "@Everyone", "@HERE", "<@3>", "<@!100>", "<@&9>", "<@&100>", "<@123456789012345678>",
    "<@&101>", "@@everyone", "@@@@here", "@ everyone", "@\u200beveryone", "@\u2060here", "@\ufeff\u200dhere",
    "@\u00adeveryone", "＠everyone", "﹫here", "@\ufe0feveryone", "@\U000e0020everyone", "@e\u200bveryone",
    "<\u200b@3>",
        "<@\u200b3>", "<@3\u200b>", "<@<@3>100>", "<<@3>@100>", "<@&<@!<@3>4>9>", "@<@3>everyone", "@<#1>@here",
    "@<@&9>here", "<@<#5>3>", "<@!<@&9>3>", "@[every](https://evil.example)one", "@[](https://evil.example)everyone",
    "<@[3](https://evil.example)>", "@https://evil.example everyone", "@https://evil.example\u200beveryone",
    "[@everyone](https://evil.example)", "https://evil.example/@everyone", "https://evil.example/<@3>",
    "<https://evil.example/<@&9>>", "@discord.gg/a everyone", "@discord.gg/abc\u200beveryone", "<@discord.gg/abc3>",
    "@mia", "@Tom B", "@everyone mia", "@&9", "<@&@12>", "<@@12>", "@:tea:everyone", ":here:", "@:here:", "#general",
    "#everyone", "@#everyone", "</ban user:99>", "<id:customize>", "<#20>", "<@:12:>", "<@id:3>", "<@&id:<@3>9>",
    "@⏎everyone", "<@⏎3>", "@ ⏎ here", "mia: @everyone", "\n@everyone\n", "@susu: everyone",
)  # fmt: skip
AROUND: Final = (
    "{}", "`{}`", "``{}``", "```\n{}\n```", "```py\n{}", "**{}**", "__{}__", "~~{}~~", "||{}||", "> {}", ">>> {}",
    "# {}", "-# {}", "[{}](https://evil.example)", "[x]({})", "<{}>", "({})", '"{}"', "@{}", "<@{}>", "\\{}", "*{}",
    "a{}", "{}b", "- {}", "\u202e{}",
)  # fmt: skip
BETWEEN: Final = (
    "",
    " ",
    "\n",
    "\u200b",
    " ⏎ ",
    "<@",
    "@",
    ">",
    "everyone",
    "here",
    "3>",
    "&",
    "!",
    "lorem ipsum dolor ",
    "`",
    "```",
)
LONG: Final = "and so it went on and on until nobody knew any more what it had been about. "


def output(chance: random.Random) -> str:
    """What a model might say: pings in wrappers, next to each other, in each other, and far down a long message."""
    text = ""
    for _ in range(chance.choice((1, 1, 2, 3))):
        piece = chance.choice(PINGS)
        for _ in range(chance.choice((0, 1, 1, 2))):
            piece = chance.choice(AROUND).replace("{}", piece)
        if chance.random() < 0.1:
            cut = chance.randrange(len(piece) + 1)
            piece = piece[:cut] + chance.choice(PINGS) + piece[cut:]
        text += chance.choice(BETWEEN) + piece + chance.choice(BETWEEN)
    if chance.random() < 0.01:
        text = LONG * chance.randrange(20, 30) + "x" * chance.randrange(80) + text + LONG * 3
    return text


def test_none_of_a_hundred_thousand_outputs_pings() -> None:
    chance = random.Random(6)
    # The lists are of no concern here; what is taken out is: links and invites.
    takes_out = OutputFilter((), links="none")
    nothing = parse_allowed(discord.AllowedMentions.none().to_dict())
    by_default = parse_allowed(None)
    rendered = 0
    for _ in range(OUTPUTS):
        raw = output(chance)
        text = takes_out.check(mention_safe(chat_format.spoken(raw, "susu", ["mia"]))).text
        for part in parts(text, PLACES):
            sent = find_pings(part, nothing, users=USERS, roles=ROLES, may_ping_everyone=True)
            assert (sent.users, sent.roles, sent.everyone) == ((), (), False), (raw, part)
            alone = find_pings(part, by_default, users=USERS, roles=ROLES, may_ping_everyone=True)
            assert (alone.roles, alone.everyone) == ((), False), (raw, part)
            assert set(alone.users) <= set(MEMBERS.values()), (raw, part)
            rendered += len(alone.users)
    assert rendered > OUTPUTS / 100


def test_the_stand_in_would_say_so_if_one_did() -> None:
    chance = random.Random(6)
    by_default = parse_allowed(None)
    raw = [output(chance) for _ in range(1000)]
    found = [find_pings(text, by_default, users=USERS, roles=ROLES, may_ping_everyone=True) for text in raw]
    assert sum(bool(one.users or one.roles or one.everyone) for one in found) > 400
