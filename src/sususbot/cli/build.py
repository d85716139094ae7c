"""Settings to objects: the one place where rooms are wired together. Which engine answers is chosen in `engines`.

Every command that opens the archive does so by `open_archive`: what was begun is finished there, so no other way in.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from sususbot import artifacts, env_file
from sususbot.archive.archive import FILE_NAME, Archive, now_ms
from sususbot.cli import engines
from sususbot.cli.main import Place
from sususbot.cli.output import say
from sususbot.corpus.clean import rules_without
from sususbot.errors import (
    ArchiveEmpty,
    ArchiveFull,
    ArchiveLocked,
    MissingExtra,
    ModelError,
    ModelNotFound,
    SettingsError,
    VectorStoreError,
)
from sususbot.forgetting import Forgetting, Gone, told
from sususbot.linking.network import Network
from sususbot.memory import embedders, own_links
from sususbot.memory.context import ContextBuilder
from sususbot.memory.embedding import Embedder, MiniLM
from sususbot.memory.lasting import Lasting
from sususbot.memory.linking_pass import LivePass
from sususbot.memory.long_term import LongTerm, Weights
from sususbot.memory.relevance import by_links
from sususbot.memory.short_term import Folds, ShortTerm
from sususbot.memory.summarizer.bart import Bart, find_model
from sususbot.memory.summarizer.chat import Chat
from sususbot.memory.summarizer.summarizer import Summarizer
from sususbot.memory.vector_index import VectorIndex, make_index
from sususbot.messages import joined_names
from sususbot.model.backend import Backend, Sampling
from sususbot.model.estimate import SafeCount
from sususbot.model.inference import Inference
from sususbot.proxy import spare_this_machine
from sususbot.responder import Responder
from sususbot.safety.filter import OutputFilter
from sususbot.settings import Settings
from sususbot.wording.rules import Rewriting, someone

DAY_MS: Final = 86_400_000
# Of a context, what recent turns may take in any case, and what one of them takes on average, with its name.
_RECENT_SHARE: Final = 0.37
_LINE_TOKENS: Final = 20
_LONGEST_STRIDE: Final = 8
# What tells a project or a home from a data folder.
_NOT_OURS: Final = (".env", ".git", ".bashrc", ".ssh", "pyproject.toml", "Desktop")


class Assembly(NamedTuple):
    """What a surface needs."""

    archive: Archive
    short_term: ShortTerm
    long_term: LongTerm
    inference: Inference
    responder: Responder
    backends: Sequence[Backend]
    network: Network


def load_settings(place: Place) -> Settings:
    settings = env_file.load(place.env)
    # Hugging Face's own libraries look for these in the environment, and nowhere else.
    for name, value in (("HF_ENDPOINT", settings.hf_endpoint), ("HF_TOKEN", settings.hf_token)):
        if value:
            os.environ[name] = value
    spare_this_machine(os.environ)
    return settings


def open_archive(place: Place, *, filled: bool = False) -> Archive:
    """The archive of the data folder, with the settings' consent and retention applied, and what was begun finished.

    With `filled`, raises ArchiveEmpty when nothing was imported yet, and makes no archive where there is none.
    """
    settings = load_settings(place)
    _check_own(place.data)
    if filled and _has_none(place.data):
        raise _empty(place.data)
    archive = Archive(place.data)
    try:
        archive.consents.set_mode(settings.consent)
        _catch_up(forgetting(place, settings, archive), settings.retention_days)
        if filled and archive.newest() is None:
            raise _empty(place.data)
    except BaseException:
        archive.close()
        raise
    return archive


def _has_none(folder: Path) -> bool:
    """Whether no archive was made there yet; where that cannot be seen, opening it says why."""
    try:
        return not (folder / FILE_NAME).exists() and (folder.is_dir() or not folder.exists())
    except OSError:
        return False


def _empty(folder: Path) -> ArchiveEmpty:
    """The whole path: often it is only another folder than the one that was meant."""
    return ArchiveEmpty(
        f"the archive in {folder.absolute()} is empty: run  sususbot backfill  or  sususbot import FILES  first, or "
        "name another folder with --data"
    )


def _check_own(folder: Path) -> None:
    """Forgetting deletes whatever names a member in the data folder, so nothing else may live there."""
    strange = [name for name in _NOT_OURS if (folder / name).exists()]
    if strange:
        raise SettingsError(
            f"{folder.resolve()} holds other things, too ({joined_names(strange)}), and what is in a data folder may "
            "be deleted when a member is forgotten: choose a folder of its own with --data"
        )


def forgetting(place: Place, settings: Settings, archive: Archive) -> Forgetting:
    """What takes words away in this data folder."""
    return Forgetting(archive, place.data, chroma_url=settings.chroma_url if settings.vector_db == "chroma" else None)


def _catch_up(forgetting: Forgetting, retention_days: int | None) -> None:
    """What an earlier command left undone, members who said no since, and what is past its time."""
    gone = Gone()
    try:
        gone = forgetting.resume(at=now_ms())
        if retention_days is not None:
            expired = forgetting.expire(now_ms() - retention_days * DAY_MS)
            if expired.messages:
                say(f"{expired.messages:,} messages are older than RETENTION_DAYS={retention_days} and were erased")
            gone += replace(expired, messages=0)
    except (ArchiveFull, ArchiveLocked, VectorStoreError) as error:
        # What is on record is used by nobody; the next command tries again.
        say(f"not all is erased yet: {error}")
    for line in told(gone):
        say(line)


def build(
    settings: Settings,
    place: Place,
    archive: Archive,
    *,
    live: bool = False,
    allow_stale: bool = False,
    long_term: LongTerm | None = None,
    fallback: bool = True,
) -> Assembly:
    """Everything behind a surface. `live` prepares for messages that arrive while it runs; `long_term` is used where
    it is there already; without `fallback` only the chosen backend answers.

    Raises AdapterStale where the adapter learned from somebody it may not know any more, unless that is allowed.
    """
    # What is wrong in it is told now, not after models were loaded.
    output = output_filter(settings)
    for path in engines.weights_used(settings, place.data):
        engines.check_learned(path, place, archive, allow_stale=allow_stale)
    network, linker = own_links.network_of(place.data)
    archive.links.use_linker(linker)
    long_term = long_term or recollection(settings, place, archive, LivePass(archive, network) if live else None)
    backends = engines.backends(settings, long_term)[: None if fallback else 1]
    inference = Inference(
        backends,
        canned=lines(settings.fallback_lines),
        deflecting=lines(settings.deflect_lines),
        queue_size=settings.queue_size,
        deadline_seconds=settings.reply_deadline,
    )
    folds = _folds(settings, archive, inference, backends[0], live=live)
    short_term = ShortTerm(archive, window=settings.short_term_window, folds=folds)
    responder = Responder(
        archive=archive,
        short_term=short_term,
        long_term=long_term,
        context=context_builder(settings, archive, backends[0], network),
        inference=inference,
        sampling=sampling(settings),
        own_name=settings.bot_name,
        memories=settings.memories,
        output=output,
    )
    return Assembly(archive, short_term, long_term, inference, responder, backends, network)


def recollection(settings: Settings, place: Place, archive: Archive, linking: LivePass | None = None) -> LongTerm:
    """Long-term memory alone; `linking` gives messages that arrive while it runs their links."""
    embedder = _embedder(settings, place, archive, live=linking is not None)
    return LongTerm(archive, embedder, _index(settings, place, embedder), weights=weights(settings), linking=linking)


def persona_text(settings: Settings, archive: Archive) -> str:
    """What the bot is told about itself, in training as in every prompt."""
    guild = archive.guild()
    server = guild.name if guild is not None else "a Discord server"
    return settings.bot_description.replace("{bot}", settings.bot_name).replace("{server}", server)


def make_embedder(settings: Settings, place: Place, archive: Archive | None = None) -> Embedder:
    """The embedder of the settings, for an archive or for measuring. Raises MissingExtra and ModelError."""
    made_by = archive.vectors.embedder() if archive is not None else None
    folder = place.data / artifacts.MODELS
    return embedders.make(settings.embedder, settings.embedding_model, folder, made_by=made_by)


def sampling(settings: Settings) -> Sampling:
    return Sampling(
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        repetition_penalty=settings.repetition_penalty,
        max_new_tokens=settings.max_new_tokens,
        seed=settings.seed,
        min_p=settings.min_p,
        dry_multiplier=settings.dry_multiplier,
        dry_base=settings.dry_base,
        dry_allowed_length=settings.dry_allowed_length,
    )


def _embedder(settings: Settings, place: Place, archive: Archive, *, live: bool) -> Embedder | None:
    """The encoder, or None where search goes by words alone, with a line that says so."""
    made_by = archive.vectors.embedder()
    if made_by is None and not live:
        say("searching by words alone: run  sususbot index  to search by meaning too")
        return None
    try:
        embedder = make_embedder(settings, place, archive)
    except (MissingExtra, ModelNotFound) as error:
        say(f"searching by words alone: {error}")
        return None
    if made_by not in (None, embedder.name):
        raise SettingsError("the vectors were made by another EMBEDDING_MODEL: run  sususbot index  to make them anew")
    archive.vectors.use_embedder(embedder.name)
    if live and isinstance(embedder, MiniLM):
        # The first reply would wait for it.
        embedder.load_soon()
    return embedder


def _index(settings: Settings, place: Place, embedder: Embedder | None) -> VectorIndex | None:
    if embedder is None:
        return None
    return make_index(
        settings.vector_db,
        dimensions=embedder.dimensions,
        folder=str(place.data / "chroma"),
        url=settings.chroma_url,
    )


def _folds(settings: Settings, archive: Archive, inference: Inference, backend: Backend, *, live: bool) -> Folds | None:
    """How talk that leaves the window is summed up."""
    if settings.summarizer == "off":
        return None
    summarizer, note = _summarizer(settings, inference, backend) if live else (None, None)
    return Folds(
        own_name=settings.bot_name,
        interval=settings.summarize_interval,
        stride=_stride(settings),
        summarizer=summarizer,
        seconds=settings.summary_deadline,
        note=note,
        rewriting=_rewriting(settings, archive),
    )


def _stride(settings: Settings) -> int:
    """How many pieces leave the window at once: the more, the longer a prompt's beginning stays the same."""
    room = int(settings.context_tokens * _RECENT_SHARE) // _LINE_TOKENS - settings.short_term_window
    return max(1, min(_LONGEST_STRIDE, room // settings.summarize_interval))


def _summarizer(settings: Settings, inference: Inference, backend: Backend) -> tuple[Summarizer | None, str | None]:
    """What makes summaries, or None and why; with a line that says so."""
    if settings.summarizer == "extractive":
        return None, None
    if settings.summarizer == "chat" and settings.backend != "recall":
        return Chat(inference.aside, backend.count_tokens, context_tokens=backend.context_tokens), None
    try:
        if settings.summarizer == "chat":
            raise ModelNotFound("SUMMARIZER=chat needs a model that writes: set BACKEND, or SUMMARIZER=extractive")
        bart = Bart(find_model(settings.summarization_model))
        # Loading stops the event loop for a third of a second: before there is one.
        bart.load()
    except (MissingExtra, ModelError) as error:
        # With recall nothing reads a summary.
        if settings.backend != "recall" or settings.summarizer == "chat":
            say(f"the talk before the window is told by its most telling lines: {error}")
        return None, str(error)
    return bart, None


def output_filter(settings: Settings) -> OutputFilter:
    """What may go out, by the settings. Raises SettingsError for a word that is none."""
    try:
        return OutputFilter(
            settings.filter,
            settings.blocked_words,
            settings.links,
            settings.invites,
            allowed_words=settings.allowed_words,
        )
    except ValueError as error:
        raise SettingsError(f"BLOCKED_WORDS or ALLOWED_WORDS: {error}: mend it in .env") from error


def lines(text: str) -> list[str]:
    """Lines of a setting that holds several, separated by |."""
    return [line.strip() for line in text.split("|") if line.strip()] or ["hm."]


def weights(settings: Settings) -> Weights:
    return Weights(
        settings.weight_semantic,
        settings.weight_words,
        settings.weight_recency,
        settings.weight_engagement,
        settings.recency_half_life_days,
    )


def _name_of(archive: Archive, author_id: int) -> str:
    author = archive.author(author_id)
    return author.display_name if author is not None else someone(author_id)


def _rewriting(settings: Settings, archive: Archive) -> Rewriting:
    """What a model is shown looks like what it learned: by the settings that a corpus is built by."""
    return Rewriting(rules_without(settings.clean_off), partial(_name_of, archive))


def context_builder(settings: Settings, archive: Archive, backend: Backend, network: Network) -> ContextBuilder:
    counting = SafeCount(backend)
    tokens = min(settings.context_tokens, backend.context_tokens or settings.context_tokens)
    return ContextBuilder(
        persona=persona_text(settings, archive),
        own_name=settings.bot_name,
        tokens=tokens - settings.max_new_tokens,
        count_tokens=counting.count_tokens,
        count_ahead=counting.count_ahead,
        rewriting=_rewriting(settings, archive),
        run_ms=settings.run_seconds * 1000,
        relevance=by_links(network),
        lasting=Lasting(archive),
    )
