"""A hub on loopback, with the addresses, headers and redirects of Hugging Face's, and what goes wrong with one.

Small files are answered at once; large ones by a redirect to a second server, as the real one's are to its network of
caches: another host, which must never see a token. `tests/model/test_hub.py` proves it by Hugging Face's own client.
"""

import asyncio
import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote

from aiohttp import web

from sususbot.standin.listening import listener, stop_listening

COMMIT = "5e1f0c0ffee0000000000000000000000000cafe"
_LARGE = (".gguf", ".safetensors", ".model")


@dataclass
class Stored:
    """A repository: its files, and what it demands or claims."""

    files: dict[str, bytes]
    gated: bool = False
    commit: str = COMMIT
    # Said of a file in place of its true size.
    sizes: dict[str, int] = field(default_factory=dict)


@dataclass
class StandInHub:
    """Turn these handles while it runs. `seen` are (method, path, headers) of all requests, in their order."""

    url: str = ""
    cache_url: str = ""
    repos: dict[str, Stored] = field(default_factory=dict)
    token: str | None = None
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    # After so many bytes of a body the connection is cut, once for each number.
    cuts: list[int] = field(default_factory=list)
    # Answered before anything else, once each, with these further headers.
    refusals: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    ranges: bool = True
    # What is sent in place of a file's content, by its name.
    sent: dict[str, bytes] = field(default_factory=dict)
    hashes: bool = True

    def ranges_asked(self) -> list[str]:
        """What each request for a large body asked for; empty: all of it."""
        return [headers.get("range", "") for _, path, headers in self.seen if path.startswith("/cache/")]

    def put(self, repo: str, files: dict[str, bytes], *, gated: bool = False) -> None:
        self.repos[repo] = Stored(files, gated)

    # -- what it answers

    async def hub(self, request: web.BaseRequest) -> web.StreamResponse:
        self._note(request)
        if self.refusals:
            status, headers = self.refusals.pop(0)
            return web.Response(status=status, headers=headers)
        path = unquote(request.path)
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", path):
            return self._info(request, match[1])
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return await self._resolve(request, match[1], match[3])
        return web.Response(status=404)

    async def cache(self, request: web.BaseRequest) -> web.StreamResponse:
        self._note(request)
        repo, _, name = unquote(request.path).removeprefix("/cache/").partition("//")
        return await self._body(request, self.sent.get(name, self.repos[repo].files[name]), {})

    def _note(self, request: web.BaseRequest) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append((request.method, request.path_qs, headers))

    def _info(self, request: web.BaseRequest, name: str) -> web.StreamResponse:
        stored = self.repos.get(name)
        if stored is None:
            # So it says to strangers, that nobody can tell what is private from what is not there.
            return web.Response(status=401, headers={"X-Error-Code": "RepoNotFound"})
        blobs = request.query.get("blobs") == "true" and self.hashes
        siblings = [self._sibling(stored, file, content, blobs=blobs) for file, content in stored.files.items()]
        return web.json_response(
            {"id": name, "modelId": name, "sha": stored.commit, "private": False, "tags": [], "siblings": siblings}
        )

    def _sibling(self, stored: Stored, name: str, content: bytes, *, blobs: bool) -> dict[str, object]:
        if not blobs:
            return {"rfilename": name}
        size = stored.sizes.get(name, len(content))
        told: dict[str, object] = {"rfilename": name, "size": size, "blobId": _git(content)}
        if name.endswith(_LARGE):
            told["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": size, "pointerSize": 135}
        return told

    async def _resolve(self, request: web.BaseRequest, repo: str, name: str) -> web.StreamResponse:
        stored = self.repos.get(repo)
        if stored is None:
            return web.Response(status=401, headers={"X-Error-Code": "RepoNotFound"})
        if stored.gated and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=403, headers={"X-Error-Code": "GatedRepo"})
        if name not in stored.files:
            return web.Response(status=404, headers={"X-Error-Code": "EntryNotFound"})
        content = stored.files[name]
        headers = {"X-Repo-Commit": stored.commit}
        if not name.endswith(_LARGE):
            return await self._body(request, self.sent.get(name, content), headers | {"ETag": f'"{_git(content)}"'})
        headers |= {
            "X-Linked-Size": str(len(content)),
            "X-Linked-ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "Location": f"{self.cache_url}/cache/{repo}//{name}?signature=abc",
        }
        return web.Response(status=302, headers=headers)

    async def _body(self, request: web.BaseRequest, content: bytes, headers: dict[str, str]) -> web.StreamResponse:
        begin, status = 0, 200
        if (wanted := re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))) and self.ranges:
            begin, status = int(wanted[1]), 206
            if begin >= len(content):
                return web.Response(status=416, headers={"Content-Range": f"bytes */{len(content)}"})
            headers = headers | {"Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"}
        rest = content[begin:]
        answer = web.StreamResponse(status=status, headers=headers)
        answer.content_length = len(rest)
        await answer.prepare(request)
        if request.method == "HEAD":
            return answer
        if self.cuts:
            await answer.write(rest[: self.cuts.pop(0)])
            assert request.transport is not None
            request.transport.close()
            return answer
        await answer.write(rest)
        await answer.write_eof()
        return answer


def _git(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@contextmanager
def stand_in_hub() -> Iterator[StandInHub]:
    """A hub in a thread of its own, for callers that wait."""
    hub = StandInHub()
    loop = asyncio.new_event_loop()
    started, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        servers = [
            web.ServerRunner(web.Server(answer, access_log=None), shutdown_timeout=0.1)
            for answer in (hub.hub, hub.cache)
        ]
        places = [listener() for _ in servers]
        for runner, place in zip(servers, places, strict=True):
            await runner.setup()
            await web.SockSite(runner, place).start()
        hub.url, hub.cache_url = (f"http://127.0.0.1:{runner.addresses[0][1]}" for runner in servers)
        started.set()
        await stop.wait()
        for runner, place in zip(servers, places, strict=True):
            await stop_listening(place)
            await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="hub")
    thread.start()
    try:
        assert started.wait(120)
        yield hub
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
