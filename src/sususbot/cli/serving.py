"""A bot that runs: what `.env` says by now, put into effect without a restart where that is possible.

What cannot change while a bot runs is named, so that its owner knows what a restart is for. Everything is checked
before anything is changed: a mistake in `.env` leaves all as it was.
"""

import threading
from collections.abc import Collection, Set
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
from sususbot.training import runs

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

    def __init__(
        self,
        place: Place,
        settings: Settings,
        parts: build.Assembly,
        answering: Answering,
        *,
        allow_stale: bool = False,
    ) -> None:
        """`allow_stale`: what was stale at the start is used all the same; what becomes so later is not."""
        self._place = place
        self._settings = settings
        self._parts = parts
        self._answering = answering
        self._lock = threading.Lock()
        self._adapter_stamp = _stamp(settings.adapter_path)
        # As they were loaded: whose words are in them is not read from files again.
        self._learned = engines.learned(settings, place.data)
        if allow_stale:
            insisted = {path: run.insisted_on(self._archive.consents) for path, run in self._learned.items()}
            self._learned = {path: run for path, run in insisted.items() if run is not None}

    def reload(self) -> str:
        """Read `.env` anew; gives in a sentence or two what came of it. Raises SettingsError and ModelError."""
        with self._lock:
            return self._reload()

    def _reload(self) -> str:
        new = folder.load_settings(self._place)
        stamp = _stamp(new.adapter_path)
        at_once = AT_ONCE if self._parts.inference.retired is None else AT_ONCE - {"adapter_path"}
        changed = {name for name in Settings.model_fields if getattr(new, name) != getattr(self._settings, name)}
        if stamp != self._adapter_stamp:
            # A file of the same name may hold another adapter by now.
            changed.add("adapter_path")
        effective = new.model_copy(update={name: getattr(self._settings, name) for name in changed - at_once})
        if effective.backend not in engines.ADAPTED:
            changed.discard("adapter_path")
        made = _Made(effective, self._parts)
        if "adapter_path" in changed & at_once:
            self._use_adapter(effective)
            self._adapter_stamp = stamp
        made.put(self._parts, self._answering, changed)
        self._settings = effective
        return _told(changed, at_once)

    def unlearn(self) -> str | None:
        """Let go of weights that learned from who does not agree any more; says so, None where there are none.

        Of an adapter the base speaks on; without a base that may be used, no model does. Asked often: it reads no file.
        """
        with self._lock:
            # What the settings name first is a base: without it, there is no adapter either.
            for weights, run in self._learned.items():
                if (complaint := runs.complaint(run, self._archive.consents)) is not None:
                    on_a_base = weights == self._settings.adapter_path
                    return self._let_go_of_adapter(weights, complaint) if on_a_base else self._let_go_of_all(complaint)
        return None

    def _let_go_of_all(self, complaint: str) -> str:
        self._learned.clear()
        self._parts.inference.retire(complaint)
        return f"{complaint}. The bot answers without the model from now on, until it is started with another one."

    def _let_go_of_adapter(self, weights: Path, complaint: str) -> str:
        try:
            self._parts.backends[0].use_adapter(None)  # type: ignore[attr-defined]  # those of ADAPTED have it
        except ModelError:
            # Better no model than one that says what nobody may.
            return self._let_go_of_all(complaint)
        del self._learned[weights]
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
        bases = {weights: run for weights, run in self._learned.items() if weights != self._settings.adapter_path}
        run = runs.run_of(new.adapter_path, self._place.data) if new.adapter_path is not None else None
        self._learned = bases if new.adapter_path is None or run is None else {**bases, new.adapter_path: run}


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


def _told(changed: Set[str], at_once: Set[str]) -> str:
    if not changed:
        return "Nothing has changed in the settings."
    now, later = (sorted(name.upper() for name in names) for names in (changed & at_once, changed - at_once))
    sentences = [f"In effect: {', '.join(now)}."] if now else []
    if later:
        sentences.append(f"A restart is needed for {', '.join(later)}.")
    return " ".join(sentences)
