"""Every check there is, where all is well and where it is not: no finding whose other side nobody has seen.

What there is to find is read from the source; a check without its two cases here fails the last test.
"""

import ast
import asyncio
import os
import socket
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from sususbot.archive.archive import FILE_NAME, Archive, now_ms
from sususbot.bot.service import alone
from sususbot.doctor import checks_data, checks_machine, checks_model, checks_running, checks_settings
from sususbot.doctor.checks_discord import discord
from sususbot.doctor.checks_machine import Need
from sususbot.doctor.findings import Finding
from sususbot.env_file import checked, load
from sususbot.forgetting import Forgetting
from sususbot.model.cards import Card, find_cards
from sususbot.sources.discord_api.address import api_at
from sususbot.standin import faults, permissions
from sususbot.standin.permissions import Overwrite
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from tests.cli.community import HER_ID, write_run
from tests.sources.discord_api.town import Town, empty_town
from tests.support import tiny_gguf
from tests.support.ports import own_port

DOCTOR: Final = Path(checks_data.__file__).parent
GB: Final = 1_000_000_000

Findings = Finding | Iterable[Finding]
# Given a data folder that is as it should be.
Look = Callable[[Path], Findings]


def on(data: Path, look: Callable[[Archive], Findings], spoil: Callable[[Archive], object] | None = None) -> Findings:
    with closing(Archive(data)) as archive:
        if spoil is not None:
            spoil(archive)
        found = look(archive)
        return [found] if isinstance(found, Finding) else list(found)


def written(path: Path, content: str = "", mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    path.chmod(mode)
    return path


def moded(folder: Path, mode: int) -> Path:
    folder.chmod(mode)
    return folder


def no_to_all(archive: Archive) -> None:
    archive.consents.say(HER_ID, by="member", way="test", at=now_ms(), learn=False)


def with_vectors(archive: Archive) -> None:
    archive.vectors.use_embedder("test")
    pending = archive.vectors.pending(1000)
    archive.vectors.put(pending, np.ones((len(pending), 4), np.float32))


def model(data: Path, *, free: int = 8 * GB, adapter: str = "") -> Findings:
    path = data / "tiny.gguf"
    tiny_gguf.write_model(path)
    values: dict[str, str] = {"backend": "llamacpp", "model_path": str(path)}
    if adapter:
        tiny_gguf.write_adapter(data / "fits.gguf")
        values["adapter_path"] = str(data / adapter)
    return checks_model.model(checked(values), data, cards=(), free=free)


def running(data: Path, port: int) -> Findings:
    return list(checks_running.bot(checked({"metrics_port": str(port)}), data))


def with_a_bot(data: Path) -> Findings:
    with alone(data):
        return running(data, 0)


def taken(look: Callable[[str], Findings]) -> Findings:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(8)
        return look(str(other.getsockname()[1]))


def free(look: Callable[[str], Findings]) -> Findings:
    return look(str(own_port()))


def web(port: str) -> Finding:
    return checks_running.web_port(checked({"web_port": port}))


def proxied(address: str) -> Finding:
    before = os.environ.get("HTTPS_PROXY")
    os.environ["HTTPS_PROXY"] = address
    try:
        return checks_settings.proxy("https://discord.com")
    finally:
        del os.environ["HTTPS_PROXY"]
        if before is not None:
            os.environ["HTTPS_PROXY"] = before


def online(spoil: Callable[[StandIn, Town], object] | None = None, *, sessions: int = 1000) -> Findings:
    async def ask() -> Findings:
        made = empty_town()
        async with StandIn(made.world, rate=RateLimits.fast(), starts_allowed=sessions) as server:
            if spoil is not None:
                spoil(server, made)
            with api_at(server.http_url):
                return await discord(checked({"discord_token": made.world.token, "channel_id": str(made.square.id)}))

    return asyncio.run(ask())


def without_intent(_: StandIn, made: Town) -> None:
    made.world.message_content_allowed = False


def refused(server: StandIn, _: Town) -> None:
    server.faults.add("GET", "/users/@me", faults.failing(401))


def hushed(_: StandIn, made: Town) -> None:
    made.square.overwrites.append(Overwrite(made.world.guild_id, deny=permissions.ADD_REACTIONS))


def token(value: str) -> Finding:
    return checks_settings.token(checked({"discord_token": value}))


def card(driver: str | None = "580.65", *, usable: bool = True) -> list[Card]:
    return [Card("RTX 2080 Ti", 11 << 30, usable, driver)]


def torch_here(_: Path) -> Findings:
    """Only a machine with a card can say that torch uses it."""
    found = checks_machine.torch(find_cards())
    return [found] if found.state == "ok" else []


EMBEDDED: Final = ("static-1-x", "static-x.npz")


def embedder(data: Path, *, there: bool) -> Finding:
    lost = checked({"embedding_model": str(data / "nowhere")})
    if there:
        written(data / "models" / EMBEDDED[1])
    return checks_settings.embedder(lost, EMBEDDED[0], data / "models")


def stale(data: Path, *, no: bool) -> Findings:
    write_run(data, [HER_ID])
    return on(data, lambda archive: checks_data.stale(data, archive, None), no_to_all if no else None)


def overwritten(data: Path) -> Findings:
    (data / FILE_NAME).write_bytes(b"overwritten" * 1000)
    return checks_data.archive_file(data)[1]


def changed_corpus(data: Path) -> Findings:
    (data / "corpora" / "default" / "train.jsonl").write_bytes(b"{}\n")
    return checks_data.corpora(data, None)


def erased(data: Path, spoil: Callable[[Archive], object] | None = None) -> Findings:
    return on(data, lambda archive: checks_data.erased(archive, Forgetting(archive, data)), spoil)


# Name -> where all is well, and where it is not.
CASES: Final[dict[str, tuple[Look, Look]]] = {
    "settings": (
        lambda data: checks_settings.read(lambda: load(written(data / "x.env", "TOP_K=7")))[1],
        lambda data: checks_settings.read(lambda: load(written(data / "x.env", "TOP_K=many")))[1],
    ),
    "settings file": (
        lambda data: checks_machine.settings_mode(written(data / "x.env")),
        lambda data: checks_machine.settings_mode(written(data / "x.env", mode=0o644)),
    ),
    "python": (lambda _: checks_machine.python((3, 11, 0)), lambda _: checks_machine.python((3, 10, 9))),
    "console": (lambda _: checks_machine.console("utf-8"), lambda _: checks_machine.console("cp1252")),
    "data folder": (
        lambda data: checks_machine.data_folder(moded(data, 0o700)),
        lambda data: checks_machine.data_folder(written(data / "a file")),
    ),
    "data place": (
        lambda data: checks_machine.place(data, [("/", "ext4")]),
        lambda data: checks_machine.place(data, [("/", "nfs4")]),
    ),
    "disk": (
        lambda data: checks_machine.disk(data, roomy=0, enough=0),
        lambda data: checks_machine.disk(data, enough=1e18),
    ),
    "proxy": (lambda _: proxied(""), lambda _: proxied("http://127.0.0.1:9")),
    "token": (lambda _: token("MTIz.b.c"), lambda _: token("abc")),
    "channel": (
        lambda _: checks_settings.channel(checked({"channel_id": "1213800000000000000"})),
        lambda _: checks_settings.channel(checked({})),
    ),
    "retention": (
        lambda _: checks_settings.retention(checked({"retention_days": "30"})),
        lambda data: on(data, lambda one: checks_data.overdue(one, checked({"retention_days": "10"}), now_ms())),
    ),
    "log": (
        lambda data: checks_settings.log(checked({"log_file": str(data / "bot.jsonl")}), data),
        lambda data: checks_settings.log(checked({"log_file": str(data.parent / "bot.jsonl")}), data),
    ),
    "packages": (
        lambda _: checks_machine.packages([Need("all", "x", ("json",))]),
        lambda _: checks_machine.packages([Need("all", "x", ("no_such_module",))]),
    ),
    "archive": (lambda data: checks_data.archive_file(data)[1], overwritten),
    "archive content": (
        lambda data: on(data, checks_data.archive_whole),
        lambda data: on(data / "empty", checks_data.archive_whole),
    ),
    "erased members": (erased, lambda data: erased(data, lambda one: one.erasure.begin(HER_ID, at=now_ms()))),
    "consent": (
        lambda data: on(data, lambda one: checks_data.consent(one, checked({}))),
        lambda data: on(data, lambda one: checks_data.consent(one, checked({"consent": "opt-in"}))),
    ),
    "index": (
        lambda data: on(data, checks_data.index, with_vectors),
        lambda data: on(data, checks_data.index),
    ),
    "embedder": (lambda data: embedder(data, there=True), lambda data: embedder(data, there=False)),
    "corpora": (lambda data: checks_data.corpora(data, None), changed_corpus),
    "trainings": (
        lambda data: checks_data.trainings(write_run(data, [HER_ID]).parents[2]),
        lambda data: checks_data.trainings(written(data / "runs" / "x" / "manifest.json", "no").parents[2]),
    ),
    "adapters": (lambda data: stale(data, no=False), lambda data: stale(data, no=True)),
    "llama.cpp": (
        lambda _: checks_machine.engine(None, needed=True),
        lambda _: checks_machine.engine("libgomp.so.1 is missing", needed=True),
    ),
    "card": (lambda _: checks_machine.cards(card()), lambda _: checks_machine.cards(card(usable=False))),
    "driver": (lambda _: checks_machine.driver(card()), lambda _: checks_machine.driver(card("470.1"))),
    "model": (model, lambda data: checks_model.model(checked({"backend": "llamacpp"}), data, cards=(), free=GB)),
    "memory": (model, lambda data: model(data, free=GB // 10)),
    "adapter": (
        lambda data: model(data, adapter="fits.gguf"),
        lambda data: model(data, adapter="none.gguf"),
    ),
    "bot": (with_a_bot, lambda data: running(data, 0)),
    "health port": (
        lambda data: free(lambda port: running(data, int(port))),
        lambda data: taken(lambda port: running(data, int(port))),
    ),
    "web port": (lambda _: free(web), lambda _: taken(web)),
    "discord": (lambda _: online(), lambda _: asyncio.run(discord(checked({})))),
    "discord token": (lambda _: online(), lambda _: online(refused)),
    "discord intent": (lambda _: online(), lambda _: online(without_intent)),
    "discord sessions": (lambda _: online(), lambda _: online(sessions=3)),
    "discord channel": (lambda _: online(), lambda _: online(hushed)),
    "torch": (torch_here, lambda _: checks_machine.torch([])),
}


def states(found: Findings, name: str) -> set[str]:
    return {one.state for one in ([found] if isinstance(found, Finding) else found) if one.name == name}


@pytest.mark.parametrize("name", CASES)
def test_where_all_is_well_it_says_so_or_says_nothing(data: Path, name: str) -> None:
    assert states(CASES[name][0](data), name) <= {"ok"}


@pytest.mark.parametrize("name", CASES)
def test_where_it_is_not_it_says_that(data: Path, name: str) -> None:
    found = states(CASES[name][1](data), name)
    assert found
    assert "ok" not in found


def named_in(path: Path) -> set[str]:
    """Names of findings in a file: what `ok` and its like are called with, and what is called `name` there."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id="ok" | "warning" | "wrong" | "skipped" | "told_by"), args=[first, *_]):
                found |= {str(one.value) for one in ast.walk(first) if isinstance(one, ast.Constant)}
            case ast.Assign(targets=[ast.Name(id="name")], value=ast.Constant(value=str(value))):
                found.add(value)
            case ast.Assign(
                targets=[ast.Tuple(elts=[ast.Name(id="name"), *_])],
                value=ast.Tuple(elts=[ast.Constant(value=str(value)), *_]),
            ):
                found.add(value)
    return found


def test_no_check_has_but_one_side() -> None:
    found = set().union(*(named_in(path) for path in DOCTOR.glob("*.py") if path.name != "findings.py"))
    assert found == set(CASES)
