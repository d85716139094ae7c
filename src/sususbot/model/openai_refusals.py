"""What a model server's refusal means, in a sentence for its user.

What a server says of an error may repeat the prompt, and errors are logged and kept in traces: the sentence gives its
status, the name it has for the error, and what it means in our own words.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import httpx

from sususbot.errors import BackendFailed
from sususbot.model.wire import Refused

WRONG_KEY: Final = (401, 403)
# What servers call their errors (`insufficient_quota`, `BadRequestError`): one word, as no message is.
_NAME: Final = re.compile(r"[a-z]+(?:_[a-z0-9]+)+|(?:[A-Z][a-z0-9]+){2,}")
_LONGEST_NAME: Final = 40
_SHOWS_WHY: Final = "LOG_LEVEL=DEBUG with LOG_CONTENT=true shows why"
# What they mean by what they say.
_MEANINGS: Final = (
    (
        re.compile(
            r"context[ _](?:length|size|window)|too many tokens|prompt is too long|max_model_len", re.IGNORECASE
        ),
        "the prompt is longer than its context, lower CONTEXT_TOKENS",
    ),
    (re.compile(r"out ?of ?memory|insufficient memory", re.IGNORECASE), "it is out of memory"),
    (re.compile(r"is loading|loading (?:the )?model", re.IGNORECASE), "it is still loading"),
)


def refusal(refused: Refused, host: str, model: str | None, left_alone: float) -> BackendFailed:
    """`model` as it was asked for; `left_alone`: for how many seconds more the server wants to be."""
    meaning = next((words for pattern, words in _MEANINGS if pattern.search(refused.said)), None)
    said = ", ".join(filter(None, (str(refused.status), _name(refused.error))))
    if refused.status == httpx.codes.TOO_MANY_REQUESTS:
        until = f" for {left_alone:.0f} s" if left_alone > 1 else ""
        return BackendFailed(f"{host} is asked too much{until} ({said}): raise its limit, or ask less.")
    if refused.status in WRONG_KEY:
        return BackendFailed(f"{host} refuses the key ({said}): correct OPENAI_API_KEY.")
    if refused.status == httpx.codes.NOT_FOUND:
        what = f"the model {model!r}" if model else "text completions"
        return BackendFailed(f"{host} does not have {what} ({said}): correct OPENAI_MODEL or OPENAI_BASE_URL.")
    if refused.status >= httpx.codes.INTERNAL_SERVER_ERROR:
        said = f"{said}, {meaning}" if meaning else said
        return BackendFailed(f"{host} failed ({said}): look at the server's log.")
    if refused.status >= httpx.codes.BAD_REQUEST:
        return BackendFailed(f"{host} refuses the request ({said}): {meaning or _SHOWS_WHY}.")
    reason = meaning or "what it says is no JSON object"
    return BackendFailed(f"{host} does not answer as a model server ({reason}): correct OPENAI_BASE_URL.")


def _name(error: Mapping[str, Any]) -> str | None:
    """What a server calls its error; None where that could be anything."""
    for name in (error.get("code"), error.get("type")):
        if isinstance(name, str) and len(name) <= _LONGEST_NAME and _NAME.fullmatch(name):
            return name
    return None
