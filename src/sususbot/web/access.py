"""Who may see the page: an ASGI layer before everything, over HTTP and websockets alike.

In: the pass that was printed and, where other machines may see the page, a password. Out: whoever holds neither, comes
from another site, or asks under a name that is not ours gets one plain sentence: no page, no file, no socket.
The pass opens the page on this machine, in any browser, until the server ends; a cookie that no script can read stands
for it in each. Where there is a password, a form asks for it; who comes by a proxy is then not on this machine.
Nothing of a request is logged.
Not here: what owners may do once they are in. Whoever is in is the owner.
"""

import hashlib
import hmac
import ipaddress
import secrets
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from html import escape
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOGIN_PATH: Final = "/login"
_TRIES: Final = 5
_TRIES_OF_ALL: Final = 30
_TRIES_SECONDS: Final = 60.0
_LARGEST_FORM: Final = 2048
# Versioned files of the library; everything else is never kept by a browser.
_ASSETS: Final = "/_nicegui/"

# The library compiles its templates and starts each page by scripts in it, hence the two `unsafe` for scripts.
_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}

_STRANGER: Final = "This page is its owner's: open the link that the terminal shows (paste it into the address bar)."
_ELSEWHERE: Final = "This page answers only to itself: paste the link that the terminal shows into the address bar."
_TOO_OFTEN: Final = "Too many wrong passwords: wait a minute and try again."
_WRONG: Final = "That is not the password."
# The cookie is sent only to who comes from here: somebody who came from a file has to go once more.
_ONWARDS: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>sususbot</title>'
    '<meta http-equiv="refresh" content="0;url={path}"></head><body><a href="{path}">To the page</a></body></html>'
)
_FORM: Final = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>sususbot</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
:root{{color-scheme:light dark}}
body{{font:16px/1.5 system-ui,sans-serif;max-width:22rem;margin:20vh auto;padding:0 1rem}}
input,button{{font:inherit;width:100%;box-sizing:border-box;padding:.5rem;margin:.25rem 0}}</style></head>
<body><main><h1>sususbot</h1><p role="status">{note}</p><form method="post" action="{path}">
<label for="password">Password</label><input id="password" name="password" type="password" required autofocus
autocomplete="current-password"><button type="submit">Open</button></form></main></body></html>"""


def new_token() -> str:
    """A pass that cannot be guessed."""
    return secrets.token_urlsafe(32)


def is_loopback(host: str) -> bool:
    """Whether an address is seen by this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Access:
    """Lets the owner through to `app`, and nobody else."""

    def __init__(
        self,
        app: App,
        *,
        token: str,
        names: Iterable[str] = (),
        proxied: Iterable[str] = (),
        password: str | None = None,
        cookie: str = "sususbot",
    ) -> None:
        """`names` are the hosts this page is called by, beside this machine's addresses and its own name; `proxied`
        those by which a proxy on this machine leads here.
        """
        self.app = app
        self._token = _digest(token)
        self._password = None if password is None else _digest(password)
        self._cookie = cookie
        self._session = secrets.token_urlsafe(32)
        own = socket.gethostname().lower()
        self._proxied = {name.lower() for name in proxied}
        self._names = {"localhost", own, f"{own}.local", *(name.lower() for name in names), *self._proxied}
        self._attempts = _Attempts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = _headers(scope)
        inside = self._is_ours(scope, headers)
        token = _token_of(scope)
        if scope["type"] == "websocket":
            if inside and self._known(headers):
                await self.app(scope, receive, send)
            else:
                await _refuse_socket(receive, send)
        elif token is not None and (inside or self._is_led_here(headers)):
            await self._open(scope, headers, send, token)
        elif not inside:
            await _answer(send, 403, _ELSEWHERE)
        elif self._known(headers):
            await self.app(scope, receive, _guarded(scope, send))
        elif self._password is None:
            await _answer(send, 401, _STRANGER)
        else:
            await self._ask(scope, headers, receive, send)

    def _is_ours(self, scope: Scope, headers: dict[str, str]) -> bool:
        """Asked under a name of ours, and by our own page or by nobody's."""
        host = headers.get("host", "")
        if not self._is_named(host):
            return False
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return False
        origin = headers.get("origin")
        if origin is not None:
            return _place(origin)[0] == host.lower()
        # A browser names the origin of whatever changes something; what does not is no browser with our page.
        return scope["type"] == "http" and scope["method"] in ("GET", "HEAD")

    def _is_led_here(self, headers: dict[str, str]) -> bool:
        """By a file or another site, as a page in a window of its own. Only with the pass, which no other site has."""
        how = headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")
        return self._is_named(headers.get("host", "")) and "origin" not in headers and how == ("navigate", "document")

    def _is_named(self, host: str) -> bool:
        """A name of another's that leads here is how a foreign site would read us; an address cannot be rebound."""
        name = _place(f"//{host}")[1]
        return name in self._names or _is_address(name)

    def _known(self, headers: dict[str, str]) -> bool:
        """By our one cookie. The others of this host may be written in any way: they are not even read."""
        cookies = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
        ours = [value.encode() for name, _, value in cookies if name == self._cookie]
        return any(hmac.compare_digest(value, self._session.encode()) for value in ours)

    async def _open(self, scope: Scope, headers: dict[str, str], send: Send, token: str) -> None:
        """The printed link: this machine's own, so that a link seen over a shoulder is worth nothing elsewhere."""
        here = self._from_here(scope, headers)
        if scope["method"] != "GET" or not here or not hmac.compare_digest(_digest(token), self._token):
            await _answer(send, 401, _STRANGER)
        elif self._is_ours(scope, headers):
            await _redirect(send, _without_token(scope), self._set_cookie(scope, headers))
        else:
            page = _ONWARDS.format(path=escape(_location(_without_token(scope))))
            await _answer(send, 200, page, "text/html", {"set-cookie": self._set_cookie(scope, headers)})

    def _from_here(self, scope: Scope, headers: dict[str, str]) -> bool:
        """Whether a browser on this machine asks. What a proxy here passes on comes from this machine, too, under a
        name of elsewhere; without a password the link is all there is to know.
        """
        peer, ours = _peer(scope), str((scope.get("server") or ("",))[0])
        if not peer or not (is_loopback(peer) or peer == ours):
            return False
        name = _place(f"//{headers.get('host', '')}")[1]
        return self._password is None or is_loopback(name) or name == peer

    async def _ask(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        """The form for the password, and what came of it."""
        if scope["method"] != "POST" or scope["path"] != LOGIN_PATH:
            if scope["method"] == "GET" and scope["path"] in ("/", LOGIN_PATH):
                await _answer(send, 401, _FORM.format(note="", path=LOGIN_PATH), "text/html")
            else:
                await _answer(send, 401, _STRANGER)
            return
        who = _peer(scope)
        if not self._attempts.take(who):
            await _answer(send, 429, _TOO_OFTEN)
            return
        said = dict(parse_qsl(await _body(receive))).get("password", "")
        if self._password is not None and hmac.compare_digest(_digest(said), self._password):
            self._attempts.clear(who)
            await _redirect(send, "/", self._set_cookie(scope, headers))
        else:
            await _answer(send, 401, _FORM.format(note=_WRONG, path=LOGIN_PATH), "text/html")

    def _set_cookie(self, scope: Scope, headers: dict[str, str]) -> str:
        """Only for encrypted ways, where a proxy of ours says that this is one."""
        by_proxy = _place(f"//{headers.get('host', '')}")[1] in self._proxied and is_loopback(_peer(scope))
        secure = "; Secure" if by_proxy and headers.get("x-forwarded-proto") == "https" else ""
        return f"{self._cookie}={self._session}; Path=/; HttpOnly; SameSite=Strict{secure}"


class _Attempts:
    """Passwords tried within the last minute, by address; all together are bounded, too."""

    def __init__(self) -> None:
        self._at: deque[tuple[float, str]] = deque()

    def take(self, who: str) -> bool:
        """Whether one more may be tried; it counts."""
        now = time.monotonic()
        while self._at and self._at[0][0] < now - _TRIES_SECONDS:
            self._at.popleft()
        if len(self._at) >= _TRIES_OF_ALL or sum(one == who for _, one in self._at) >= _TRIES:
            return False
        self._at.append((now, who))
        return True

    def clear(self, who: str) -> None:
        self._at = deque((at, one) for at, one in self._at if one != who)


def _digest(text: str) -> bytes:
    """Of one length, whatever was sent, so that comparing tells nothing."""
    return hashlib.sha256(text.encode(errors="replace")).digest()


def _headers(scope: Scope) -> dict[str, str]:
    """Of a header that comes twice all values count; no value of ours has a comma in it."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}; {text}" if key in headers else text
    return headers


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _place(address: str) -> tuple[str, str]:
    """Host with port, and host alone, of an address; empty where it is none."""
    try:
        parts = urlsplit(address)
        return parts.netloc.lower(), parts.hostname or ""
    except ValueError:
        return "", ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _token_of(scope: Scope) -> str | None:
    return dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("token")


def _without_token(scope: Scope) -> str:
    """The same page, so that the pass stands in no history but once."""
    kept = [(name, value) for name, value in parse_qsl(scope["query_string"].decode("latin-1")) if name != "token"]
    # A path of two slashes would be another host.
    path = "/" + str(scope["path"]).lstrip("/\\")
    return path + (f"?{urlencode(kept)}" if kept else "")


async def _body(receive: Receive) -> str:
    """A small form's body; of a larger one nothing."""
    body = bytearray()
    while True:
        event = await receive()
        body += event.get("body", b"")
        if len(body) > _LARGEST_FORM:
            return ""
        if not event.get("more_body", False):
            return str(body, errors="replace")


async def _refuse_socket(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 1008})


async def _redirect(send: Send, path: str, cookie: str) -> None:
    await _answer(send, 303, "", more={"location": _location(path), "set-cookie": cookie})


def _location(path: str) -> str:
    return quote(path, safe="/?=&%")


async def _answer(
    send: Send, status: int, text: str, kind: str = "text/plain", more: dict[str, str] | None = None
) -> None:
    headers = {**HEADERS, "cache-control": "no-store", "content-type": f"{kind}; charset=utf-8", **(more or {})}
    body = text.encode()
    headers["content-length"] = str(len(body))
    await send({"type": "http.response.start", "status": status, "headers": _encoded(headers)})
    await send({"type": "http.response.body", "body": body})


def _guarded(scope: Scope, send: Send) -> Send:
    """What the page sends, with our headers in place of its own."""
    kept = scope["path"].startswith(_ASSETS)

    async def guarded(event: MutableMapping[str, Any]) -> None:
        if event["type"] == "http.response.start":
            ours = dict(HEADERS)
            ours["cache-control"] = (
                "private, max-age=31536000, immutable" if kept and event["status"] == 200 else "no-store"
            )
            others = [pair for pair in event["headers"] if pair[0].decode("latin-1").lower() not in ours]
            event = {**event, "headers": [*others, *_encoded(ours)]}
        await send(event)

    return guarded


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
