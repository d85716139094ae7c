"""Settings to objects: the one place where rooms are wired together."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sususbot import settings as settings_file
from sususbot.archive.archive import Archive, now_ms
from sususbot.cli.main import Place
from sususbot.cli.output import say
from sususbot.errors import ArchiveEmpty, MissingExtra, ModelNotFound, SettingsError
from sususbot.memory.context import ContextBuilder
from sususbot.memory.embedding import Embedder, MiniLM
from sususbot.memory.lines import RememberedLines
from sususbot.memory.long_term import LongTerm, Weights
from sususbot.memory.short_term import ShortTerm
from sususbot.memory.vector_index import VectorIndex, make_index
from sususbot.model.backend import Backend, Sampling
from sususbot.model.estimate import SafeCount
from sususbot.model.inference import Inference
from sususbot.model.recall import Recall
from sususbot.responder import Responder
from sususbot.settings import Settings


_DAY_MS: Final = 86_400_000


class Assembly(NamedTuple):
    """What a surface needs."""

    archive: Archive
    short_term: ShortTerm
    long_term: LongTerm
    inference: Inference
    responder: Responder


def load_settings(place: Place) -> Settings:
    return settings_file.load(place.env)


def open_archive(place: Place, *, filled: bool = False) -> Archive:
    """The archive of the data folder, with the settings' consent and retention applied.

    With `filled`, raises ArchiveEmpty when nothing was imported yet.
    """
    settings = load_settings(place)
    archive = Archive(place.data)
    archive.consents.set_mode(settings.consent)
    if settings.retention_days is not None:
        expired = archive.erasure.expire(now_ms() - settings.retention_days * _DAY_MS)
        if expired:
            say(f"{expired:,} messages are older than RETENTION_DAYS={settings.retention_days} and were erased")
    if filled and archive.newest() is None:
        archive.close()
        raise ArchiveEmpty(f"the archive in {place.data} is empty: run  sususbot import FILE  first")
    return archive


def build(settings: Settings, place: Place, archive: Archive, *, live: bool = False) -> Assembly:
    """Everything behind a surface. `live` prepares for messages that arrive while it runs."""
    embedder = _embedder(settings, archive, live=live)
    long_term = LongTerm(archive, embedder, _index(settings, place, embedder), weights=_weights(settings))
    short_term = ShortTerm(archive, window=settings.short_term_window)
    backends = _backends(settings, long_term)
    inference = Inference(
        backends,
        canned=[line.strip() for line in settings.fallback_lines.split("|") if line.strip()] or ["hm."],
        queue_size=settings.queue_size,
        deadline_seconds=settings.reply_deadline,
    )
    responder = Responder(
        archive=archive,
        short_term=short_term,
        long_term=long_term,
        context=_context(settings, archive, backends[0]),
        inference=inference,
        sampling=sampling(settings),
        own_name=settings.bot_name,
        memories=settings.memories,
    )
    return Assembly(archive, short_term, long_term, inference, responder)


def persona_text(settings: Settings, archive: Archive) -> str:
    """What the bot is told about itself, in training as in every prompt."""
    guild = archive.guild()
    server = guild.name if guild is not None else "a Discord server"
    return settings.bot_description.replace("{bot}", settings.bot_name).replace("{server}", server)


def make_embedder(settings: Settings) -> Embedder:
    """The encoder of the settings. Raises MissingExtra and ModelError."""
    return MiniLM(settings.embedding_model)


def sampling(settings: Settings) -> Sampling:
    return Sampling(
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        repetition_penalty=settings.repetition_penalty,
        max_new_tokens=settings.max_new_tokens,
        seed=settings.seed,
    )


def _embedder(settings: Settings, archive: Archive, *, live: bool) -> Embedder | None:
    """The encoder, or None where search goes by words alone, with a line that says so."""
    made_by = archive.vectors.embedder()
    if made_by is None and not live:
        say("searching by words alone: run  sususbot index  to search by meaning too")
        return None
    try:
        embedder = make_embedder(settings)
    except (MissingExtra, ModelNotFound) as error:
        say(f"searching by words alone: {error}")
        return None
    if made_by not in (None, embedder.name):
        raise SettingsError("the vectors were made by another EMBEDDING_MODEL: run  sususbot index  to make them anew")
    archive.vectors.use_embedder(embedder.name)
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


def _weights(settings: Settings) -> Weights:
    return Weights(
        settings.weight_semantic,
        settings.weight_words,
        settings.weight_recency,
        settings.weight_engagement,
        settings.recency_half_life_days,
    )


def _backends(settings: Settings, long_term: LongTerm) -> Sequence[Backend]:
    """The chosen one first, recall behind it."""
    recall = Recall(RememberedLines(long_term))
    if settings.backend == "llamacpp":
        return [_llamacpp(settings), recall]
    if settings.backend == "openai":
        return [_openai(settings), recall]
    return [recall]


def _llamacpp(settings: Settings) -> Backend:
    from sususbot.model.llamacpp import LlamaCpp

    if settings.model_path is None:
        raise SettingsError("BACKEND=llamacpp needs MODEL_PATH: set it to a GGUF file, or choose BACKEND=recall")
    return LlamaCpp(settings.model_path, adapter_path=settings.adapter_path, context_tokens=settings.context_tokens)


def _openai(settings: Settings) -> Backend:
    from sususbot.model.openai import OpenAI

    if settings.openai_base_url is None:
        raise SettingsError("BACKEND=openai needs OPENAI_BASE_URL: set it, e.g. to http://127.0.0.1:8000/v1")
    return OpenAI(
        settings.openai_base_url,
        api_key=settings.openai_api_key,
        model=settings.openai_model,
        context_tokens=settings.context_tokens,
    )


def _context(settings: Settings, archive: Archive, backend: Backend) -> ContextBuilder:
    counting = SafeCount(backend)
    tokens = min(settings.context_tokens, backend.context_tokens or settings.context_tokens)
    return ContextBuilder(
        persona=persona_text(settings, archive),
        own_name=settings.bot_name,
        tokens=tokens - settings.max_new_tokens,
        count_tokens=counting.count_tokens,
        count_ahead=counting.count_ahead,
    )
