"""What llama.cpp's server is asked for a reply, and what its answers mean."""

from typing import Final

from sususbot.errors import BackendFailed
from sususbot.model.backend import DRY_BREAKERS, DRY_TOKENS, Finish, Request, Sampling, Usage
from sususbot.model.loopback import Event, Refused

# Why a reply ends, by the server's name for it.
FINISHES: Final[dict[str, Finish]] = {"eos": "stop", "word": "stop", "limit": "length"}


def knobs(sampling: Sampling) -> Event:
    """How the next token is drawn, as llama.cpp's server wants to be told."""
    return {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repetition_penalty,
        "dry_multiplier": sampling.dry_multiplier,
        "dry_base": sampling.dry_base,
        "dry_allowed_length": sampling.dry_allowed_length,
        "dry_penalty_last_n": DRY_TOKENS,
        "dry_sequence_breakers": DRY_BREAKERS,
    }


def completion(request: Request, prompt: list[int], slot: int) -> Event:
    """One reply, as a stream, in a slot."""
    sampling = request.sampling
    return {
        "prompt": prompt,
        "id_slot": slot,
        "n_predict": sampling.max_new_tokens,
        **knobs(sampling),
        "seed": -1 if sampling.seed is None else sampling.seed,
        "stop": [stop for stop in request.stop if stop],
        "cache_prompt": True,
        "stream": True,
    }


def usage_of(event: Event) -> Usage:
    """Token counts as far as an event of a reply tells them."""
    cached = event.get("timings", {}).get("cache_n", 0)
    return Usage(event.get("tokens_evaluated", 0), event.get("tokens_predicted", 0), cached)


def refused(error: Refused) -> BackendFailed:
    """What it says when it takes no request, for its user."""
    if error.error.get("type") != "exceed_context_size_error":
        return BackendFailed(f"llama.cpp refused the request: {error}")
    asked, room = error.error.get("n_prompt_tokens"), error.error.get("n_ctx")
    return BackendFailed(f"The prompt has {asked} tokens and the model's context only {room}: raise CONTEXT_TOKENS.")
