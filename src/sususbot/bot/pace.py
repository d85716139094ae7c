"""How long a running bot waits, and for how many times it tries: one value, so that tests can press time together.

All in seconds unless the name says otherwise. Not here: what the settings say (deadline, queue, limits).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """The defaults are those of a bot that runs for weeks."""

    first_pause: float = 5.0
    """Before the second life; each failed one doubles it, up to `longest_pause`. Jitter adds up to a quarter."""
    longest_pause: float = 600.0
    good_life: float = 300.0
    """A life that was connected for so long was no failure: the next pause is the first again."""
    identifies_a_day: int = 50
    """Of Discord's 1,000, beyond which it resets the token."""
    watch: float = 5.0
    """Between two looks whether the connection is alive."""
    deaf_heartbeats: float = 2.5
    """Heartbeat intervals without a word from Discord until the connection counts as dead."""
    readying: float = 90.0
    """From the start of a life to its session."""
    guild: float = 600.0
    """For how long the server may be missing from a session until a new one is asked for."""
    farewell: float = 5.0
    """For closing a connection that may be dead."""
    linger: float = 240.0
    """For which replies in hand may still be sent by a connection that was given up."""
    catch_up_tries: int = 6
    catch_up_pause: float = 2.0
    """Before the second try of a page; doubles with each."""
    patience: float = 1.0
    """For which a reply waits for the archive to be written."""
    mend: float = 15.0
    """Between two tries to write to an archive that refused."""
    tidy: float = 86_400.0
    """Between two looks for what is past its time."""
