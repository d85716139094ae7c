"""One HTTP request from the socket to the answer: faults, user agent, token, rate limits, route, record.

The order is Discord's. Rules about the guild live in `rest`; here is only what every request shares.
"""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from aiohttp import web

from sususbot.standin import errors, routes
from sususbot.standin.errors import ApiError
from sususbot.standin.faults import Fault, Faults
from sususbot.standin.ledger import Ledger, Request
from sususbot.standin.ratelimit import Limiter, Verdict
from sususbot.standin.rest import Answer, Call, SessionStarts
from sususbot.standin.routes import Route
from sususbot.standin.tcp import reset_connection
from sususbot.standin.world import World

PREFIX = "/api/v10"

Validator = Callable[[str, str, int, Any], None]
"""Called with method, route, status and body of each JSON answer that no fault made; raises where it is wrong."""

_AGENT = re.compile(r"DiscordBot \(\S+,? \S+\)")
_PAGE = b"<!DOCTYPE html><html><head><title>Access denied | discord.com used Cloudflare</title></head></html>"


class Api:
    def __init__(
        self,
        world: World,
        limiter: Limiter,
        faults: Faults,
        ledger: Ledger,
        validator: Validator | None,
        starts: Callable[[], SessionStarts],
    ) -> None:
        self._world = world
        self._limiter = limiter
        self._faults = faults
        self._ledger = ledger
        self._validator = validator
        self._starts = starts
        self.gateway_url = ""
        self.violations: list[str] = []
        """What the validator found wrong."""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path.removeprefix(PREFIX)
        by_method, params = routes.find(path)
        route = by_method.get(request.method)
        template = next((r.template for r in by_method.values()), None)
        body = await _read(request)
        fault = self._faults.take(request.method, path, template)
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.retry_after)
        answer, headers = self._answer(request, route, by_method, params, body, fault)
        entry = Request(
            at=time.monotonic(),
            method=request.method,
            path=_without_tokens(path, params),
            route=template,
            status=answer.status,
            bucket=None if route is None else route.bucket,
            body=body,
            fault=None if fault is None else str(fault),
            shared=fault is not None and fault.scope == "shared",
        )
        self._ledger.request(entry)
        return self._respond(request, answer, headers, fault)

    def _answer(
        self,
        request: web.BaseRequest,
        route: Route | None,
        by_method: Mapping[str, Route],
        params: dict[str, str],
        body: Any,
        fault: Fault | None,
    ) -> tuple[Answer, dict[str, str]]:
        replaces = fault is not None and fault.kind != "slow"
        if fault is not None and replaces and not fault.after:
            return _faulty(fault)
        answer, headers = self._honest(request, route, by_method, params, body)
        if fault is not None and replaces:
            return _faulty(fault) if fault.kind != "truncated" else (answer, headers)
        return answer, headers

    def _honest(
        self,
        request: web.BaseRequest,
        route: Route | None,
        by_method: Mapping[str, Route],
        params: dict[str, str],
        body: Any,
    ) -> tuple[Answer, dict[str, str]]:
        headers: dict[str, str] = {}
        try:
            if route is None or not route.open:
                self._check_caller(request)
            if route is None:
                raise errors.method_not_allowed() if by_method else errors.not_found()
            resource = next((params[name] for name in _RESOURCES if name in params), "")
            verdict = self._limiter.admit(route.bucket, resource, apart=route.open)
            headers = verdict.headers
            answer = _refusal(verdict) or route.answer(self._call(request, route, params, body))
            if verdict.retry_after is not None:
                headers = {**headers, **_limit_headers(verdict.retry_after, verdict.scope)}
        except ApiError as error:
            answer = Answer(error.status, error.body())
        except Exception as error:  # noqa: BLE001
            self.violations.append(f"{request.method} {request.path} broke the stand-in: {error!r}")
            return Answer(500, {"message": "500: Internal Server Error", "code": 0}), headers
        self._validate(request.method, route, answer)
        return answer, headers

    def _check_caller(self, request: web.BaseRequest) -> None:
        if not _AGENT.match(request.headers.get("User-Agent", "")):
            raise errors.blocked_agent()
        if request.headers.get("Authorization") != f"Bot {self._world.token}":
            raise errors.unauthorized()

    def _call(self, request: web.BaseRequest, route: Route, params: dict[str, str], body: Any) -> Call:
        if body is _UNREADABLE or not isinstance(body, list if route.listed else dict | None):
            raise errors.bad_json()
        listed = body if isinstance(body, list) else []
        form = body if isinstance(body, dict) else {}
        return Call(self._world, params, dict(request.query), form, listed, self.gateway_url, self._starts())

    def _validate(self, method: str, route: Route | None, answer: Answer) -> None:
        if self._validator is None or route is None or answer.body is None:
            return
        try:
            self._validator(method, route.template, answer.status, answer.body)
        except Exception as error:  # noqa: BLE001
            self.violations.append(f"{method} {route.template} {answer.status}: {error}")

    def _respond(
        self, request: web.BaseRequest, answer: Answer, headers: dict[str, str], fault: Fault | None
    ) -> web.StreamResponse:
        if fault is not None and fault.kind == "reset":
            reset_connection(request.transport)
            return web.Response(status=503)
        headers = dict(headers)
        if fault is None or fault.via:
            headers["Via"] = "1.1 google"
        if isinstance(answer.body, bytes):
            return web.Response(
                body=answer.body, status=answer.status, headers=headers, content_type="text/html", charset="UTF-8"
            )
        if answer.body is None:
            return web.Response(status=answer.status, headers=headers)
        raw = orjson.dumps(answer.body)
        if fault is not None and fault.kind == "truncated":
            raw = raw[: len(raw) // 2]
        # aiohttp would add a charset to a text body, which discord.py does not take for JSON.
        headers["Content-Type"] = "application/json"
        return web.Response(body=raw, status=answer.status, headers=headers)


# What a bucket is counted by, where a path names it.
_RESOURCES = ("channel_id", "guild_id", "webhook_token", "interaction_token")
_UNREADABLE: Any = object()


def _without_tokens(path: str, params: Mapping[str, str]) -> str:
    for name, value in params.items():
        if name.endswith("_token"):
            path = path.replace(value, "***")
    return path


async def _read(request: web.BaseRequest) -> Any:
    """The JSON body; of a form with files its JSON part, the files counted as attachments."""
    if not request.body_exists:
        return None
    try:
        if request.content_type == "multipart/form-data":
            return _from_form(await request.post())
        raw = await request.read()
        return orjson.loads(raw) if raw else None
    except (orjson.JSONDecodeError, UnicodeDecodeError):
        return _UNREADABLE


def _from_form(form: Mapping[str, Any]) -> Any:
    payload = orjson.loads(form.get("payload_json", "{}"))
    files = [value for value in form.values() if isinstance(value, web.FileField)]
    payload["attachments"] = [
        {
            "id": str(number),
            "filename": file.filename,
            "size": file.file.seek(0, 2),
            "url": f"https://cdn.invalid/{number}/{file.filename}",
            "proxy_url": f"https://media.invalid/{number}/{file.filename}",
        }
        for number, file in enumerate(files)
    ]
    return payload


def _refusal(verdict: Verdict) -> Answer | None:
    if verdict.retry_after is None:
        return None
    return _limited(verdict.retry_after, everywhere=verdict.scope == "global")


def _limited(retry_after: float, *, everywhere: bool) -> Answer:
    message = "You are being rate limited."
    return Answer(429, {"message": message, "retry_after": retry_after, "global": everywhere, "code": 0})


def _limit_headers(retry_after: float, scope: str) -> dict[str, str]:
    # Whole seconds rounded up, as HTTP has it; the body is the exact figure.
    headers = {"Retry-After": str(int(-(-retry_after // 1))), "X-RateLimit-Scope": scope}
    if scope == "global":
        headers["X-RateLimit-Global"] = "true"
    return headers


def _faulty(fault: Fault) -> tuple[Answer, dict[str, str]]:
    if fault.kind == "rate_limited":
        everywhere = fault.scope == "global"
        return _limited(fault.retry_after, everywhere=everywhere), _limit_headers(fault.retry_after, fault.scope)
    if fault.kind == "cloudflare":
        return Answer(fault.status, _PAGE), {"Retry-After": str(int(fault.retry_after))}
    if fault.kind == "html":
        return Answer(200, _PAGE), {}
    if fault.kind == "reset":
        return Answer(0), {}
    return Answer(fault.status, {"message": f"{fault.status}: injected fault", "code": fault.code}), {}
