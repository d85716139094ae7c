"""Checks answers against Discord's published API description.

The description lies outside the repository; where it is absent, tests that need it are skipped. Where it differs from
what Discord really sends, the exception is listed here.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from sususbot.standin.api import Validator

_PLACE = Path("shared/data/discord-openapi.json")

EXCEPTIONS = (
    "50035: the description wants integers as the codes of single fields, Discord sends names; only the outer "
    "message and code are checked",
    "message_reference.type: the description knows replies (0) only; messages with forwards are not checked",
    "message type: a number unknown to the description is not checked",
)


class NoDescription(Exception):
    """The file is not there, and why that matters."""


def find_description() -> Path:
    for folder in Path(__file__).resolve().parents:
        if (folder / _PLACE).is_file():
            return folder / _PLACE
    raise NoDescription(f"no {_PLACE} beside or above the repository")


def load() -> Validator:
    """The validator for a stand-in. Its own exception is `jsonschema.ValidationError`."""
    spec = json.loads(find_description().read_text(encoding="utf-8"))

    known = frozenset(kind["const"] for kind in spec["components"]["schemas"]["MessageType"]["oneOf"])

    @cache
    def compiled(method: str, template: str, status: int) -> Draft202012Validator:
        schema = _schema(spec, method, template, status)
        return Draft202012Validator({**schema, "components": spec["components"]})

    def validate(method: str, template: str, status: int, body: Any) -> None:
        compiled(method, template, status).validate(_without_exceptions(body, known))

    return validate


def _schema(spec: dict[str, Any], method: str, template: str, status: int) -> dict[str, Any]:
    responses = spec["paths"][template][method.lower()]["responses"]
    response = responses.get(str(status)) or responses.get(f"{status // 100}XX")
    if response is None:
        raise KeyError(f"{method} {template} has no answer {status}")
    if "$ref" in response:
        response = spec["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
    schema: dict[str, Any] = response["content"]["application/json"]["schema"]
    return schema


def _without_exceptions(body: Any, known_types: frozenset[int]) -> Any:
    if isinstance(body, list):
        return [item for item in body if not _outside(item, known_types)]
    if isinstance(body, dict) and body.get("code") == 50035:
        return {"message": body["message"], "code": body["code"]}
    return body


def _outside(item: Any, known_types: frozenset[int]) -> bool:
    if not isinstance(item, dict) or "author" not in item:
        return False
    forward = item.get("message_reference", {}).get("type", 0) != 0
    return forward or item["type"] not in known_types
