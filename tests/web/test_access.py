"""Who is not the owner gets nothing: over HTTP and sockets, from the network, from other sites, under other names."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import websockets
from nicegui import __version__ as library

from sususbot.web.access import Access, Receive, Scope, Send
from tests.support.commands import refusal, run_here
from tests.web.browsing import PATIENCE_MS, Served, serving, stop

pytestmark = pytest.mark.asyncio(loop_scope="session")

# A page, another, what they load, their socket, and nothing.
PATHS = (
    "/",
    "/memory",
    f"/_nicegui/{library}/static/nicegui.js",
    "/favicon.ico",
    "/_nicegui_ws/socket.io/?EIO=4&transport=polling",
    "/no-such-page",
)


def client_of(address: str = "") -> httpx.AsyncClient:
    # Addresses are of this machine, where there is nothing to verify: reading the certificates takes 60 ms each time.
    return httpx.AsyncClient(base_url=address, timeout=PATIENCE_MS / 1000, verify=False)


@pytest_asyncio.fixture(loop_scope="session")
async def stranger(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(served.address) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def owner(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(served.address) as client:
        assert (await client.get(served.link)).status_code == 303
        yield client


def is_nothing(response: httpx.Response) -> bool:
    """One plain sentence, and no word of what is behind it."""
    one_line = response.headers["content-type"].startswith("text/plain") and "\n" not in response.text
    return response.status_code in (401, 403) and one_line and "set-cookie" not in response.headers


@pytest.mark.parametrize("path", PATHS)
async def test_a_stranger_gets_nothing(stranger: httpx.AsyncClient, path: str) -> None:
    assert is_nothing(await stranger.get(path))
    assert is_nothing(await stranger.get(path, headers={"cookie": "sususbot=x"}))


@pytest.mark.parametrize("token", ["", "x", "ü", "a" * 43])
async def test_a_wrong_token_gets_nothing(stranger: httpx.AsyncClient, token: str) -> None:
    response = await stranger.get("/", params={"token": token})
    assert is_nothing(response)


async def test_the_token_opens_the_page_and_a_cookie_stands_for_it(served: Served) -> None:
    async with client_of(served.address) as client:
        opened = await client.get(f"/data?token={served.token}&day=3")
        assert (opened.status_code, opened.headers["location"]) == (303, "/data?day=3")
        cookie = opened.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert served.token not in cookie
        page = await client.get("/data")
    assert page.status_code == 200
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    async with client_of(served.address) as another:
        assert (await another.get(served.link)).status_code == 303


async def test_other_cookies_of_this_host_are_in_nobodys_way(owner: httpx.AsyncClient) -> None:
    ((name, value),) = owner.cookies.items()
    odd = f'pref={{"a":1}}; b@d; {name}=x; {name}={value}; "'
    assert (await owner.get("/data", headers={"cookie": odd})).status_code == 200


async def test_the_token_leads_nowhere_else(served: Served) -> None:
    async with client_of() as client:
        opened = await client.get(f"{served.address}//elsewhere.example/x?token={served.token}")
    assert opened.headers["location"] == "/elsewhere.example/x"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example", "", "["])
async def test_a_name_that_is_not_ours_gets_nothing(owner: httpx.AsyncClient, host: str) -> None:
    assert is_nothing(await owner.get("/", headers={"host": host}))


ELSEWHERE: dict[str, dict[str, str]] = {
    "another site": {"origin": "https://evil.example"},
    "another port of this machine": {"origin": "http://127.0.0.1:1"},
    "a page without an origin": {"origin": "null"},
    "an origin that is none": {"origin": "http://["},
    "a picture on another site": {"sec-fetch-site": "cross-site"},
    "a frame of another port": {"sec-fetch-site": "same-site"},
}


@pytest.mark.parametrize("headers", ELSEWHERE.values(), ids=ELSEWHERE)
@pytest.mark.parametrize("path", ["/", "/_nicegui_ws/socket.io/?EIO=4&transport=polling"])
async def test_a_request_of_another_site_gets_nothing(
    owner: httpx.AsyncClient, headers: dict[str, str], path: str
) -> None:
    assert is_nothing(await owner.get(path, headers=headers))


LED_HERE = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


async def test_who_is_led_here_by_a_file_goes_on_with_the_cookie(served: Served) -> None:
    """A browser sends no strict cookie along a way that began elsewhere: the page that sets it begins another."""
    async with client_of(served.address) as client:
        led = await client.get(f"/data?token={served.token}&a=%22%3E%3Cb", headers=LED_HERE)
        assert led.status_code == 200
        assert "url=/data?a=%22%3E%3Cb" in led.text
        assert served.token not in led.text
        assert (await client.get("/data")).status_code == 200
        assert is_nothing(await client.get("/data", headers=LED_HERE))


@pytest.mark.parametrize(
    "headers",
    [
        {**LED_HERE, "sec-fetch-dest": "iframe"},
        {**LED_HERE, "sec-fetch-mode": "no-cors"},
        {**LED_HERE, "origin": "null"},
        {**LED_HERE, "host": "evil.example"},
    ],
)
async def test_nothing_but_a_window_of_its_own_is_led_here(served: Served, headers: dict[str, str]) -> None:
    async with client_of() as client:
        assert is_nothing(await client.get(served.link, headers=headers))
        assert is_nothing(await client.get(f"{served.address}/?token=x", headers={**LED_HERE}))


async def test_what_changes_something_must_say_where_it_comes_from(owner: httpx.AsyncClient) -> None:
    assert is_nothing(await owner.post("/_nicegui_ws/socket.io/?EIO=4&transport=polling"))


async def _opens(served: Served, **headers: str) -> bool:
    address = f"ws://127.0.0.1:{served.port}/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    try:
        async with websockets.connect(address, additional_headers=headers, open_timeout=60) as connection:
            await connection.recv()
    except (websockets.InvalidStatus, websockets.ConnectionClosed):
        return False
    return True


async def test_a_socket_needs_cookie_and_origin(served: Served, owner: httpx.AsyncClient) -> None:
    cookie = "; ".join(f"{name}={value}" for name, value in owner.cookies.items())
    ours = f"http://127.0.0.1:{served.port}"
    assert await _opens(served, cookie=cookie, origin=ours)
    assert not await _opens(served, origin=ours)
    assert not await _opens(served, cookie="sususbot=x", origin=ours)
    assert not await _opens(served, cookie=cookie, origin="https://evil.example")
    assert not await _opens(served, cookie=cookie)
    assert not await _opens(served, cookie=cookie, origin="http://evil.example", host="evil.example")


async def test_a_browser_that_is_busy_is_not_cut_off(served: Served, owner: httpx.AsyncClient) -> None:
    cookie = "; ".join(f"{name}={value}" for name, value in owner.cookies.items())
    headers = {"cookie": cookie, "origin": served.address}
    address = f"ws://127.0.0.1:{served.port}/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    async with websockets.connect(address, additional_headers=headers, open_timeout=60) as connection:
        greeting = await connection.recv(decode=True)
    # It waits for as long, too.
    assert json.loads(greeting.removeprefix("0"))["pingTimeout"] == 20_000


async def test_the_token_stands_in_no_log(served: Served, owner: httpx.AsyncClient) -> None:
    await owner.get("/no-such-page")
    logs = [path.read_text(encoding="utf-8") for path in served.folder.glob("*.log")]
    assert logs
    assert served.token not in "".join(logs)


# -- other machines, and the password


async def _page(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"the page"})


def _asking(access: Access, peer: str) -> httpx.AsyncClient:
    """A browser on a machine of this address."""
    transport = httpx.ASGITransport(app=access, client=(peer, 1234))
    return httpx.AsyncClient(transport=transport, base_url="http://192.168.0.5:8466")


def _with_password() -> Access:
    return Access(_page, token="the-token", password="correct horse", names=["192.168.0.5"])


async def _log_in(client: httpx.AsyncClient, password: str, **headers: str) -> httpx.Response:
    sent = {"origin": "http://192.168.0.5:8466", **headers}
    return await client.post("/login", data={"password": password}, headers=sent)


async def test_the_password_opens_the_page() -> None:
    async with _asking(_with_password(), "192.168.0.9") as client:
        form = await client.get("/")
        assert (form.status_code, "Password" in form.text, "the page" in form.text) == (401, True, False)
        assert (await _log_in(client, "wrong")).status_code == 401
        assert (await _log_in(client, "correct horse")).status_code == 303
        assert (await client.get("/")).text == "the page"


async def test_a_password_is_not_heard_from_another_site() -> None:
    async with _asking(_with_password(), "192.168.0.9") as client:
        assert is_nothing(await _log_in(client, "correct horse", origin="https://evil.example"))


async def test_guessing_is_slow() -> None:
    access = _with_password()
    async with _asking(access, "192.168.0.9") as client:
        tried = [(await _log_in(client, f"wrong {number}")).status_code for number in range(6)]
        assert tried == [401] * 5 + [429]
        assert (await _log_in(client, "correct horse")).status_code == 429
    async with _asking(access, "192.168.0.10") as client:
        assert (await _log_in(client, "correct horse")).status_code == 303


async def test_the_link_is_worth_nothing_on_another_machine() -> None:
    async with _asking(_with_password(), "192.168.0.9") as client:
        assert is_nothing(await client.get("/?token=the-token"))
    for peer, host, status in (
        ("127.0.0.1", "127.0.0.1:8466", 303),
        ("192.168.0.5", "192.168.0.5:8466", 303),
        ("127.0.0.1", "192.168.0.5:8466", 401),
    ):
        async with _asking(_with_password(), peer) as client:
            assert (await client.get("/?token=the-token", headers={"host": host})).status_code == status


def _behind_a_proxy() -> httpx.AsyncClient:
    access = Access(
        _page, token="the-token", password="correct horse", names=["127.0.0.1"], proxied=["bot.example.org"]
    )
    transport = httpx.ASGITransport(app=access, client=("127.0.0.1", 1234))
    return httpx.AsyncClient(
        transport=transport, base_url="https://bot.example.org", headers={"x-forwarded-proto": "https"}
    )


async def test_by_a_proxy_the_password_opens_the_page_and_the_link_does_not() -> None:
    async with _behind_a_proxy() as client:
        assert is_nothing(await client.get("/?token=the-token"))
        opened = await _log_in(client, "correct horse", origin="https://bot.example.org")
        assert "; Secure" in opened.headers["set-cookie"]
        assert (await client.get("/")).text == "the page"
        here = {"host": "127.0.0.1:8466", "x-forwarded-proto": "https"}
        opened = await client.get("/?token=the-token", headers=here)
        assert opened.status_code == 303
        assert "Secure" not in opened.headers["set-cookie"]


async def test_a_form_that_is_too_large_is_not_read() -> None:
    async with _asking(_with_password(), "192.168.0.9") as client:
        assert (await _log_in(client, "correct horse" + " " * 4000)).status_code == 401


REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "no password": ({"WEB_HOST": "0.0.0.0"}, "set WEB_PASSWORD"),
    "no password behind a proxy": ({"WEB_NAMES": "bot.example.org"}, "set WEB_PASSWORD"),
    "no address of ours": ({"WEB_HOST": "no.such.host.invalid"}, "WEB_HOST=no.such.host.invalid"),
}


@pytest.mark.parametrize(("settings", "told"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_served_is_said(tmp_path: Path, settings: dict[str, str], told: str) -> None:
    done = run_here("web", folder=tmp_path, **settings)
    assert (done.returncode, done.stdout) == (1, "")
    assert told in refusal(done.stderr)


async def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run_here("web", folder=tmp_path, WEB_PORT=str(port))
    assert done.returncode == 1
    assert f"port {port}" in refusal(done.stderr)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no signals to send")
async def test_a_signal_ends_it_and_leaves_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        async with client_of(served.address) as client:
            await client.get(served.link)
            cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        address = f"ws://127.0.0.1:{served.port}/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
        headers: dict[str, Any] = {"cookie": cookie, "origin": served.address}
        async with websockets.connect(address, additional_headers=headers, open_timeout=60):
            served.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(60):
                assert await served.process.wait() == 0
        assert await stop(served.process) == 0
    with socket.create_server(("127.0.0.1", served.port)):
        pass
