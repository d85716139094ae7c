"""How long a running bot waits, and for how many times it tries: one value, so that tests can press time together.

All in seconds unless the name says otherwise. Not here: what the settings say (deadline, queue, limits).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """The defaults are those of a bot that runs for weeks."""

    # -- lives of the connection (`supervisor`, `sessions`)
    first_pause: float = 5.0
    """After the first life that failed; each failure in a row doubles it. Jitter adds up to a quarter."""
    longest_pause: float = 600.0
    banned_pause: float = 600.0
    """At least, after an answer that looks like a banned address."""
    good_life: float = 300.0
    """A life that listened for so long was none that failed."""
    identifies_a_day: int = 50
    """Of Discord's 1,000, beyond which it resets the token."""
    spared: int = 10
    """So many of these are not spent as fast as pauses allow, but spread over what is left of the day."""
    discords_reserve: int = 10
    """So many of Discord's own are left for other programs with the same token."""
    identify_pause: float = 5.0
    """Between two sessions of one life; Discord allows one in five seconds."""
    watch: float = 5.0
    """Between two looks whether the connection is alive."""
    deaf_heartbeats: float = 2.5
    """Heartbeat intervals without a word from Discord until the connection counts as dead."""
    readying: float = 90.0
    """From the start of a life to its session."""
    guilds: float = 0.5
    """After the last server that a new session told of, until it counts as complete."""
    guildless: float = 300.0
    """For how long a session may not tell of the bot's server."""
    farewell: float = 5.0
    """For closing a connection that may be dead."""
    linger: float = 240.0
    """For which replies in hand may still be sent by a connection that was given up."""

    # -- after a gap (`catching_up`)
    answered_late: float = 600.0
    """How old a mention may be when it is found and still be answered."""
    most_pages: int = 50
    """Of a hundred messages each; what is older is left to a backfill."""
    shown: float = 60.0
    """After which a message is sure to be in Discord's lists, so that one that is not was deleted."""
    at_once: int = 4
    """Replies in hand while more mentions of a gap wait."""
    breath: float = 0.1
    """Between two looks whether there is room for the next."""
    page_pause: float = 2.0
    """Before a page is asked for again; doubles up to `longest_page_pause`."""
    longest_page_pause: float = 300.0

    # -- the archive (`keeper`)
    patience: float = 1.0
    """For which a reply waits for the archive to be written."""
    mend: float = 15.0
    """Between two tries to write to an archive that refused."""
    tidy: float = 86_400.0
    """Between two looks for what is past its time."""
