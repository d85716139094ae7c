"""Settings to objects: the one place where rooms are wired together. Which engine answers is chosen in `engines`.

Not here: reading the settings and opening the archive (`folder`), which commands that answer nothing need, too.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

from sususbot import artifacts
from sususbot.archive.archive import Archive
from sususbot.cli import engines
from sususbot.cli.main import Place
from sususbot.cli.output import say
from sususbot.corpus.clean import rules_without
from sususbot.errors import (
    MissingExtra,
    ModelError,
    ModelNotFound,
    SettingsError,
)
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
from sususbot.model.backend import Backend, Sampling
from sususbot.model.estimate import SafeCount
from sususbot.model.inference import Inference
from sususbot.responder import Responder
from sususbot.safety.filter import OutputFilter
from sususbot.settings import Settings
from sususbot.wording.rules import Rewriting, someone

# Of a context, what recent turns may take in any case, and what one of them takes on average, with its name.
_RECENT_SHARE: Final = 0.37
_LINE_TOKENS: Final = 20
_LONGEST_STRIDE: Final = 8


class Assembly(NamedTuple):
    """What a surface needs."""

    archive: Archive
    short_term: ShortTerm
    long_term: LongTerm
    inference: Inference
    responder: Responder
    backends: Sequence[Backend]
    network: Network


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
        folder=str(place.data / artifacts.CHROMA),
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
