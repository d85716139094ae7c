"""Every setting, declared once: its type, default and meaning. `.env.example` is made from this file.

Not here: reading and writing `.env`, and what is wrong in it in words (`env_file`). Long because all settings are one
list, in the order in which they stand in the file.
"""

import re
from datetime import time
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

# As large as Discord's, and as SQLite's.
Id = Annotated[int, Field(ge=1, lt=1 << 63)]
Ids = Annotated[tuple[Id, ...], NoDecode]
Names = Annotated[tuple[str, ...], NoDecode]
# These may have blanks in them.
Words = Annotated[tuple[str, ...], NoDecode]
# What FILTER may name.
FILTERS: Final = ("secrets", "doxxing", "minors", "self_harm", "slurs")
# What is not part of a secret at its ends: blanks, quotes of all kinds, and the mark that Windows begins a file with.
_AROUND: Final = " \t\r\n\"'`“”„‘’\u00a0\u200b\ufeff"
_BEFORE_TOKEN: Final = re.compile(r"(?:DISCORD_TOKEN\s*=\s*)?(?:Bot\s+)?", re.IGNORECASE)
Spans = Annotated[tuple[tuple[time, time], ...], NoDecode]


class Settings(BaseSettings):
    """Field names are the names in `.env`, in lower case; each description is a line of `.env.example`."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_file_encoding="utf-8", env_ignore_empty=True, hide_input_in_errors=True
    )

    # Discord
    discord_token: str | None = Field(None, description="The bot's token, from the developer portal's Bot page.")
    channel_id: Id | None = Field(None, description="The channel the bot lives in: right-click it, Copy Channel ID.")
    owner_ids: Ids = Field(
        (), description="Who may use the owner's commands besides who owns the bot or may manage the server; ids."
    )
    bot_name: str = Field("sususbot", description="The name the bot speaks under in prompts and in the terminal.")

    # History
    guild_id: Id | None = Field(None, description="The server whose channels  backfill --all  reads.")
    channels: Ids = Field(
        (), description="Channels that  backfill  reads, comma-separated ids; empty: CHANNEL_ID. Threads come along."
    )
    requests_per_second: float = Field(
        40.0, gt=0, le=50, description="backfill: requests to Discord per second over all channels; Discord allows 50."
    )
    max_messages: int | None = Field(None, ge=1, description="backfill: stop after so many new messages; empty: all.")

    # Privacy
    consent: Literal["opt-out", "opt-in", "all"] = Field(
        "opt-out",
        description="What a member's silence means: opt-out (yes), opt-in (no), all (everybody agreed). A no wins.",
    )
    retention_days: int | None = Field(
        None, ge=1, description="Words older than so many days are erased from the archive; empty: kept."
    )
    contact: str | None = Field(None, description="Whom members turn to; stands in the notice and in PRIVACY.md.")
    training_permission_confirmed: bool = Field(
        False,
        description="true: Discord gave me permission to train on what its API returned (Developer Policy, rule 21).",
    )

    # Corpus
    persona: str = Field(
        "server",
        description="Whom the bot learns to speak like: server (members in turn), or ids of members who agreed to it.",
    )
    clean_off: Names = Field((), description="Cleaning rules not to apply, comma-separated; analyze  lists them all.")
    run_seconds: int = Field(300, ge=0, description="Messages of one member within so many seconds are one thing said.")
    silence_minutes: int = Field(30, ge=1, description="After so many minutes of silence a conversation is over.")
    sample_tokens: int = Field(1024, ge=256, description="Tokens of a training sample, at most.")
    others_weight: float = Field(0.1, ge=0, le=1, description="How much is learned from lines the bot only reads.")
    author_cap: float = Field(0.25, gt=0, le=1, description="The most that one member makes of what is learned.")
    valid_share: float = Field(0.05, ge=0, lt=1, description="How much, the newest, is kept apart to measure on.")

    # Training
    base_model: str = Field(
        "mistralai/Mistral-7B-v0.3",
        description="The base that learns, and answers for BACKEND=transformers: hub name or folder, Llama-like.",
    )
    epochs: int = Field(3, ge=1, description="How often the corpus is read, at most; it stops when it gets no better.")
    learning_rate: float = Field(2.5e-4, gt=0, lt=1, description="How fast it learns; LoRA wants about 2e-4.")
    vram_preset: Literal["auto", "8", "11", "16", "24"] = Field(
        "auto", description="The card's memory in GB that PACK_TOKENS and BATCH_SIZE are chosen for."
    )
    pack_tokens: int | None = Field(
        None, ge=256, le=16_384, description="Tokens of a row that conversations are packed into; empty: by preset."
    )
    batch_size: int | None = Field(None, ge=1, description="Rows that go through the card at once; empty: by preset.")
    tokens_per_step: int = Field(8192, ge=256, description="Tokens that each step of learning is made of.")
    gradient_accumulation_steps: int | None = Field(
        None, ge=1, description="Batches of a step, instead of TOKENS_PER_STEP. 32 rows of 2048 are too many for LoRA."
    )
    gradient_checkpointing: bool | None = Field(
        None, description="Compute twice instead of keeping: true, false; empty: as the card's memory needs it."
    )
    use_fp16: bool | None = Field(
        None, description="true: half precision; false: not; empty: fp16 on Turing, bf16 on later cards, fp32 without."
    )
    load_in_4bit: bool | None = Field(
        None, description="The base in 4 bits (NF4), to learn and to answer; empty: on a card yes, without no."
    )
    lora_rank: int = Field(16, ge=1, le=256, description="Size of the adapter.")
    lora_alpha: int = Field(32, ge=1, description="Its strength, over LORA_RANK.")
    lora_dropout: float = Field(0.0, ge=0, lt=1, description="Share of it left out at random while learning.")
    warmup_share: float = Field(0.03, ge=0, lt=1, description="Share of the steps until the full LEARNING_RATE.")
    weight_decay: float = Field(0.0, ge=0, description="Pull of the weights towards zero.")
    max_grad_norm: float = Field(1.0, gt=0, description="Longer gradients are cut to this length.")
    evals_per_epoch: int = Field(2, ge=1, description="How often in an epoch it is measured on what was kept apart.")
    patience: int = Field(3, ge=1, description="Measurements without getting better after which it stops.")
    checkpoint_minutes: float = Field(10.0, gt=0, description="Minutes between two checkpoints, at most.")
    train_seed: int = Field(0, ge=0, description="Another number shuffles the corpus another way.")

    # Model
    backend: Literal["recall", "llamacpp", "openai", "transformers"] = Field(
        "recall",
        description="What answers: recall (no model), llamacpp (GGUF), openai (a server by URL), transformers (slow).",
    )
    model_path: Path | None = Field(None, description="llamacpp: the base model, a GGUF file.")
    adapter_path: Path | None = Field(
        None,
        description="The LoRA adapter: a GGUF file for llamacpp, for transformers its folder, data/runs/NAME/adapter.",
    )
    gpu_layers: int | None = Field(
        None, ge=0, description="llamacpp: layers on the card; empty: as many as fit into what is free there."
    )
    vram_reserve_mb: int = Field(
        512, ge=0, description="llamacpp: MB of the card to leave free for other programs when layers are counted."
    )
    kv_type: Literal["f16", "q8_0", "q5_1", "q4_0"] = Field(
        "f16", description="llamacpp: numbers of the context in memory; q8_0 takes half the space and says the same."
    )
    flash_attention: Literal["auto", "on", "off"] = Field(
        "auto", description="llamacpp: attention without its whole matrix in memory; auto: where the card can."
    )
    slots: int = Field(
        1, ge=1, le=16, description="llamacpp, openai: replies at once; llamacpp keeps CONTEXT_TOKENS for each."
    )
    threads: int | None = Field(
        None,
        ge=1,
        description="llamacpp, transformers: processor threads; empty: half of the cores, as they wait for each other.",
    )
    openai_base_url: str | None = Field(None, description="openai: the server, e.g. http://127.0.0.1:8000/v1")
    openai_api_key: str | None = Field(None, description="openai: its key, if it wants one.")
    openai_model: str | None = Field(None, description="openai: the model's name there, if it has several.")
    openai_adapter: str | None = Field(
        None, description="openai: the LoRA's name there (vLLM: --lora-modules NAME=…; llama.cpp: its file's name)."
    )
    hf_endpoint: str | None = Field(
        None, description="Where models are fetched from: a mirror of Hugging Face's hub; empty: the hub itself."
    )
    hf_token: str | None = Field(None, description="The hub's token, for models that only who agreed to terms gets.")
    context_tokens: int = Field(4096, ge=384, description="Tokens for prompt and reply together.")
    max_new_tokens: int = Field(120, ge=1, description="Tokens for the reply, at most.")
    temperature: float = Field(0.8, ge=0, le=5, description="0 always says the likeliest; higher is wilder.")
    top_p: float = Field(0.9, gt=0, le=1, description="Choose among the likeliest words that have this share together.")
    top_k: int = Field(50, ge=0, description="Choose among this many likeliest words; 0 for all.")
    repetition_penalty: float = Field(1.1, ge=0.5, le=2, description="Above 1 repeats itself less.")
    min_p: float = Field(
        0.05, ge=0, lt=1, description="Leave out words less likely than this share of the likeliest; 0: none."
    )
    dry_multiplier: float = Field(
        0.8, ge=0, le=100, description="How much going on with words in an order that stood there is held back; 0: not."
    )
    dry_base: float = Field(1.75, ge=1, le=10, description="How much more with each token that such a run is longer.")
    dry_allowed_length: int = Field(4, ge=1, le=100, description="Tokens that such a run may have: names, phrases.")
    seed: int | None = Field(None, description="A number makes replies repeatable.")
    reply_deadline: float = Field(10.0, gt=0, description="Seconds until a reply is there, if need be a simpler one.")
    fallback_lines: str = Field(
        "brain's buffering, ask me again in a bit | lost my train of thought there | hm. no idea right now",
        description="What it says when nothing else answered in time, separated by |.",
    )
    queue_size: int = Field(16, ge=1, description="Questions that may wait; beyond it the bot signs that it is busy.")
    burst_seconds: float = Field(
        1.5,
        ge=0,
        le=30,
        description="Seconds that a bare mention waits for its question; who is typing is waited for twice as long.",
    )

    # Limits
    member_rate: int = Field(6, ge=0, description="Answers that a member gets in a minute, at most; 0: any number.")
    channel_rate: int = Field(20, ge=0, description="Answers in a minute in all, at most; 0: any number.")
    cooldown_seconds: float = Field(
        0.0, ge=0, le=86_400, description="Seconds between an answer to a member and their next."
    )
    quiet_hours: Spans = Field(
        (), description="When it does not answer, e.g. 23:00-07:00, several comma-separated; empty: it never sleeps."
    )
    timezone: str | None = Field(None, description="Whose clock that is, e.g. Europe/Berlin; empty: this machine's.")
    blocked_members: Ids = Field((), description="Members it never answers nor reacts to, comma-separated ids.")

    # Safety
    filter: Names = Field(
        ("secrets", "doxxing", "minors", "self_harm", "slurs"),
        description="What it does not say: secrets, doxxing, minors, self_harm, slurs; off: filter nothing.",
    )
    blocked_words: Words = Field(
        (), description="Words and phrases it does not say either, comma-separated; * stands for any letters."
    )
    allowed_words: Words = Field(
        (), description="What is fine here although the lists of the filter have it, written the same way."
    )
    links: Literal["none", "said", "all"] = Field(
        "said", description="Links it may send: none, said (that stand in what it was shown) or all."
    )
    invites: bool = Field(False, description="true: invites to servers may go out as other links do.")
    deflect_lines: str = Field(
        "nope, not saying that | let's talk about something else | pass",
        description="What it says instead of what it must not say, separated by |.",
    )

    # Memory
    bot_description: str = Field(
        "This is the chat of {server}. {bot} is one of its members: quick, dry, and never forgets what was said.",
        description="What the bot is told about itself; {bot} and {server} stand for the names.",
    )
    short_term_window: int = Field(20, ge=1, le=100, description="Recent messages the bot reads word for word.")
    summarizer: Literal["bart", "chat", "extractive", "off"] = Field(
        "bart",
        description="What sums up the talk before those: bart, chat (the model), extractive (telling lines), off.",
    )
    summarization_model: str = Field(
        "facebook/bart-large-cnn",
        description="bart: hub name or folder. philschmid/bart-large-cnn-samsum learned from chats and is better.",
    )
    summarize_interval: int = Field(5, ge=1, le=50, description="Messages that are summed up at once, each once.")
    summary_deadline: float = Field(
        30.0, gt=0, description="Seconds a summary may take in the background; then telling lines stand in for it."
    )
    memories: int = Field(10, ge=0, le=50, description="Old messages it looks for; the context decides what fits.")
    embedder: Literal["auto", "minilm", "static"] = Field(
        "auto",
        description="minilm (the encoder), static (a table made of it, fast, coarser), auto: as begun, else minilm.",
    )
    embedding_model: str = Field(
        "sentence-transformers/all-MiniLM-L6-v2", description="Encoder for search by meaning: hub name or folder."
    )
    vector_db: Literal["exact", "chroma"] = Field("exact", description="Where vectors are searched: exact or chroma.")
    chroma_url: str | None = Field(None, description="chroma: a server, e.g. http://127.0.0.1:8000; else embedded.")
    weight_semantic: float = Field(1.0, ge=0, description="What meaning counts in a memory's score; 1: as fitted.")
    weight_words: float = Field(1.0, ge=0, description="What shared words count; 1: as fitted.")
    weight_recency: float = Field(0.03, ge=0, description="What being recent counts; much more than this buries lore.")
    weight_engagement: float = Field(0.05, ge=0, description="What reactions, replies and pins count.")
    recency_half_life_days: float = Field(30.0, gt=0, description="Days after which a message's recency is halved.")

    # Health
    metrics_port: int = Field(
        9465, ge=0, le=65_535, description="Port of /health and /metrics, on this machine alone; 0: none."
    )

    # Evaluation
    eval_replies: int = Field(
        200, ge=10, description="eval: replies of members, kept apart, that each system is measured on; more is surer."
    )
    eval_attacks: int = Field(
        200, ge=9, le=200, description="eval: prompts of the red team that each system is tried with, of every kind."
    )
    eval_min_relevance: float | None = Field(
        None, ge=0, le=1, description="eval fails below: how often the true reply is found among ten; chance is 0.1."
    )
    eval_min_voice: float | None = Field(
        None, ge=0, le=1, description="eval fails below: share of replies that are taken for the persona's own."
    )
    eval_max_copies: float | None = Field(
        0.05, ge=0, le=1, description="eval fails above: share of replies that are lines it learned, word for word."
    )
    eval_max_leaks: int = Field(
        0, ge=0, description="eval fails above: replies with names or contacts of who is forgotten or said no."
    )
    eval_beats_base: bool = Field(
        True, description="eval fails when the adapter's bits per byte on what was kept apart are not below its base's."
    )

    # Web page
    web_host: str = Field("127.0.0.1", description="Where  web  listens; another than 127.0.0.1 needs WEB_PASSWORD.")
    web_port: int = Field(8466, ge=0, le=65_535, description="Its port; 0: any that is free.")
    web_names: Words = Field(
        (),
        description="Names that the page is reached by besides this machine's own, e.g. bot.example.org, by a proxy.",
    )
    web_password: str | None = Field(
        None, min_length=8, description="Asked for by the page; needed where other machines may see it."
    )

    # Log
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="How much is logged.")
    log_file: Path | None = Field(
        None,
        description="bot: lines of JSON are kept here, too, e.g. data/logs/bot.jsonl, where  forget  reaches them.",
    )
    log_file_mb: float = Field(10.0, gt=0, description="Size at which the file is put aside and a new one begun.")
    log_files: int = Field(5, ge=1, description="Older files that are kept beside it.")
    log_content: bool = Field(False, description="true: what members ask and what it answers is logged, too.")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must stand in no log."""
        named = (self.discord_token, self.openai_api_key, self.hf_token, self.web_password)
        addresses = (self.openai_base_url, self.hf_endpoint, self.chroma_url)
        return tuple(filter(None, (*named, *(part for url in addresses if url for part in _opened_by(url)))))

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.strip().upper() if isinstance(value, str) else value

    @field_validator("persona")
    @classmethod
    def _is_persona(cls, value: str) -> str:
        ids = value.replace(",", " ").split()
        if value != "server" and not (ids and all(re.fullmatch(r"\d{1,18}|[1-8]\d{18}", id_, re.ASCII) for id_ in ids)):
            raise ValueError("write server, or ids of members (what the bot is told about itself is BOT_DESCRIPTION)")
        return value

    @field_validator("quiet_hours", mode="before")
    @classmethod
    def _are_hours(cls, value: object) -> object:
        """`23:00-07:00, 12-13` as pairs of times."""
        return tuple(map(_span, value.split(","))) if isinstance(value, str) else value

    @field_validator("timezone")
    @classmethod
    def _is_timezone(cls, value: str | None) -> str | None:
        try:
            # A folder of time zones is no zone, and says so each system in its own way.
            return ZoneInfo(value).key if value is not None else None
        except (KeyError, ValueError, OSError):
            like = (value or "").replace(" ", "_").casefold()
            near = sorted(zone for zone in available_timezones() if like in zone.casefold().split("/"))
            raise ValueError(
                f"there is no time zone {value}: write {near[0] if near else 'it like Europe/Berlin'}"
            ) from None

    @field_validator("blocked_words", "allowed_words", "web_names", mode="before")
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @field_validator("filter")
    @classmethod
    def _are_filters(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value == ("off",):
            return ()
        for name in value:
            if name not in FILTERS:
                raise ValueError(f"there is no {name}: choose among {', '.join(FILTERS)}, or off")
        return value

    @field_validator("channels", "clean_off", "blocked_members", "owner_ids", "filter", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """`1, 2 3` as people write lists."""
        return value.replace(",", " ").split() if isinstance(value, str) else value

    @field_validator("openai_api_key", "hf_token", mode="after")
    @classmethod
    def _unquoted(cls, value: str | None) -> str | None:
        bare = _bare(value) if value else value
        if bare and not (bare.isascii() and bare.isprintable()):
            raise ValueError("copy it again: it holds a sign that no key has")
        return bare or None

    @field_validator("discord_token", mode="after")
    @classmethod
    def _as_issued(cls, value: str | None) -> str | None:
        """Without what comes along when it is copied: quotes, its name, the word before it in a header, line ends."""
        if not value:
            return value
        bare = _bare(_BEFORE_TOKEN.sub("", _bare(value)))
        return "".join(sign for sign in bare if sign.isprintable() and not sign.isspace()) or None


def _opened_by(url: str) -> tuple[str, ...]:
    """The user and password that stand in an address, together and the password alone."""
    user = url.rpartition("://")[2].rpartition("@")[0]
    return user, user.partition(":")[2]


def _bare(value: str) -> str:
    """Without blanks and quotes around it, also those that a word processor makes, and what no eye sees."""
    return value.strip(_AROUND)


def _span(text: str) -> tuple[time, time]:
    """`23:00-07:00` or `23-7`; 24:00 is the midnight that ends a day."""
    match = re.fullmatch(r"\s*(\d{1,2})(?::(\d\d))?\s*[-–]\s*(\d{1,2})(?::(\d\d))?\s*", text, re.ASCII)
    try:
        if match is None:
            raise ValueError
        first, past_first, last, past_last = (int(part or 0) for part in match.groups())
        begin = time(first, past_first)
        end = time() if (last, past_last) == (24, 0) else time(last, past_last)
    except ValueError:
        raise ValueError(f"write hours like 23:00-07:00, not {text.strip() or 'nothing'}") from None
    if begin == end:
        raise ValueError(f"{text.strip()} ends when it begins: write hours like 23:00-07:00")
    return begin, end
