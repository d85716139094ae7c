"""A bot that runs: what `.env` says by now, put into effect without a restart where that is possible.

What cannot change while a bot runs is named, so that its owner knows what a restart is for. Everything is checked
before anything is changed: a mistake in `.env` leaves all as it was.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from sususbot.archive.archive import Archive
from sususbot.bot.answering import Answering
from sususbot.bot.limits import Limits
from sususbot.cli import build, engines, folder
from sususbot.cli.main import Place
from sususbot.errors import ModelError
from sususbot.settings import Settings

# What takes effect at once. Names of settings, as the fields of `Settings`.
_SAMPLING: Final = frozenset(
    "temperature top_p top_k min_p repetition_penalty max_new_tokens seed dry_multiplier dry_base "
    "dry_allowed_length".split()
)
_CONTEXT: Final = frozenset("bot_description memories clean_off".split())
_LINES: Final = frozenset("fallback_lines deflect_lines".split())
_FILTER: Final = frozenset("filter blocked_words allowed_words links invites".split())
_WEIGHTS: Final = frozenset(
    "weight_semantic weight_words weight_recency weight_engagement recency_half_life_days".split()
)
_LIMITS: Final = frozenset("member_rate channel_rate cooldown_seconds quiet_hours timezone blocked_members".split())
AT_ONCE: Final = _SAMPLING | _CONTEXT | _LINES | _FILTER | _WEIGHTS | _LIMITS | {"adapter_path"}


class Serving:
    """The settings that a running bot goes by. Its methods block: call them in a thread."""

    def __init__(self, place: Place, settings: Settings, parts: build.Assembly, answering: Answering) -> None:
        self._place = place
        self._settings = settings
        self._parts = parts
        self._answering = answering
        self._adapter_stamp = _stamp(settings.adapter_path)

    def reload(self) -> str:
        """Read `.env` anew; gives in a sentence or two what came of it. Raises SettingsError and ModelError."""
        new = folder.load_settings(self._place)
        stamp = _stamp(new.adapter_path)
        changed = {name for name in Settings.model_fields if getattr(new, name) != getattr(self._settings, name)}
        if stamp != self._adapter_stamp:
            # A file of the same name may hold another adapter by now.
            changed.add("adapter_path")
        effective = new.model_copy(update={name: getattr(self._settings, name) for name in changed - AT_ONCE})
        if effective.backend not in engines.ADAPTED:
            changed.discard("adapter_path")
        made = _Made(effective, self._parts)
        if "adapter_path" in changed:
            self._use_adapter(effective)
            self._adapter_stamp = stamp
        made.put(self._parts, self._answering, changed)
        self._settings = effective
        return _told(changed)

    def unlearn(self) -> str | None:
        """Let go of an adapter that learned from who does not agree any more; says so, None where there is none."""
        path = self._settings.adapter_path
        if path is None or self._settings.backend not in engines.ADAPTED:
            return None
        complaint = engines.complaint_of(path, self._place, self._archive)
        if complaint is None:
            return None
        try:
            self._parts.backends[0].use_adapter(None)  # type: ignore[attr-defined]  # those of ADAPTED have it
        except ModelError as error:
            return f"{complaint}. It could not be let go of ({error}): restart the bot without it."
        self._settings = self._settings.model_copy(update={"adapter_path": None})
        self._adapter_stamp = None
        return f"{complaint}. The bot speaks without it from now on."

    @property
    def _archive(self) -> Archive:
        return self._parts.archive

    def _use_adapter(self, new: Settings) -> None:
        if new.adapter_path is not None:
            engines.check_learned(new.adapter_path, self._place, self._archive)
        self._parts.backends[0].use_adapter(new.adapter_path)  # type: ignore[attr-defined]


class _Made:
    """All that follows from settings, made before anything is put in place, so that a mistake changes nothing."""

    def __init__(self, new: Settings, parts: build.Assembly) -> None:
        self._new = new
        self._output = build.output_filter(new)
        self._context = build.context_builder(new, parts.archive, parts.backends[0], parts.network)

    def put(self, parts: build.Assembly, answering: Answering, changed: Collection[str]) -> None:
        new = self._new
        parts.responder.change(
            sampling=build.sampling(new), context=self._context, memories=new.memories, output=self._output
        )
        parts.inference.change(canned=build.lines(new.fallback_lines), deflecting=build.lines(new.deflect_lines))
        parts.long_term.weigh(build.weights(new))
        if _LIMITS & set(changed):
            answering.limits = limits(new)


def limits(settings: Settings) -> Limits:
    """Who gets an answer when."""
    return Limits(
        member_rate=settings.member_rate,
        channel_rate=settings.channel_rate,
        cooldown=settings.cooldown_seconds,
        quiet=settings.quiet_hours,
        zone=ZoneInfo(settings.timezone) if settings.timezone else None,
        blocked=settings.blocked_members,
    )


def _stamp(path: Path | None) -> tuple[str, int] | None:
    """What tells two adapters apart: the file and when it was written."""
    try:
        return None if path is None else (str(path), path.stat().st_mtime_ns)
    except OSError:
        return str(path), 0


def _told(changed: Collection[str]) -> str:
    if not changed:
        return "Nothing has changed in the settings."
    now, later = (sorted(name.upper() for name in names) for names in (AT_ONCE & set(changed), set(changed) - AT_ONCE))
    sentences = [f"In effect: {', '.join(now)}."] if now else []
    if later:
        sentences.append(f"A restart is needed for {', '.join(later)}.")
    return " ".join(sentences)
