"""Downloads against a hub on loopback: cut off, resumed, lied to, refused, without room; nothing half has a name."""

import hashlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sususbot.errors import DownloadFailed, NotOnHub, SettingsError
from sususbot.model import bases
from sususbot.model.hub import Hub, Repo
from tests.support.hub import COMMIT, StandInHub, stand_in_hub

NAME = "tea/Kettle-GGUF"
FILE = "Kettle.Q4_K_M.gguf"
CONTENT = random.Random(1).randbytes(300_000)
FOLDER = {
    "config.json": b'{"model_type": "mistral"}',
    "model.safetensors": CONTENT[:50_000],
    "tokenizer.model": CONTENT[:500],
    "consolidated.safetensors": CONTENT,
    "README.md": b"# tea",
    "original/params.json": b"{}",
    "empty.json": b"",
}


@pytest.fixture
def server() -> Iterator[StandInHub]:
    with stand_in_hub() as hub:
        hub.put(NAME, {FILE: CONTENT, "Kettle.Q8_0.gguf": CONTENT[::-1], "README.md": b"# tea"})
        hub.put("tea/Kettle", FOLDER)
        yield hub


@pytest.fixture
def hub(server: StandInHub) -> Iterator[Hub]:
    client = Hub(server.url, pauses=(0, 0, 0))
    yield client
    client.close()


def fetched(hub: Hub, models: Path, name: str = NAME, file: str | None = FILE) -> Path:
    return bases.fetch(hub, hub.find(name), file, models, unseen).path


def unseen(_done: int, _of: int) -> None:
    """Progress that nobody looks at."""


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_comes_with_its_name_and_nothing_else(hub: Hub, server: StandInHub, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    done = bases.fetch(hub, hub.find(NAME), FILE, tmp_path, lambda done, of: told.append((done, of)))
    assert done.path.read_bytes() == CONTENT
    assert names(tmp_path) == {FILE}
    assert (done.commit, done.was_there) == (COMMIT, False)
    assert (told[0], told[-1]) == ((0, len(CONTENT)), (len(CONTENT), len(CONTENT)))
    assert any(f"/resolve/{COMMIT}/" in path for _, path, _ in server.seen)


def test_a_folder_comes_whole_with_what_makes_a_base(hub: Hub, tmp_path: Path) -> None:
    path = fetched(hub, tmp_path, "tea/Kettle", None)
    assert path == tmp_path / "Kettle"
    assert names(path) == {"config.json", "model.safetensors", "tokenizer.model", "empty.json"}
    assert all((path / name).read_bytes() == FOLDER[name] for name in names(path))
    assert names(tmp_path) == {"Kettle"}


def test_what_is_there_is_compared_and_does_not_come_again(hub: Hub, server: StandInHub, tmp_path: Path) -> None:
    for name, file in ((NAME, FILE), ("tea/Kettle", None)):
        fetched(hub, tmp_path, name, file)
        before = len(server.ranges_asked())
        done = bases.fetch(hub, hub.find(name), file, tmp_path, unseen)
        assert done.was_there
        assert len(server.ranges_asked()) == before
        victim = done.path if file else done.path / "model.safetensors"
        victim.write_bytes(bytes(victim.stat().st_size))
        with pytest.raises(DownloadFailed, match=r"is not what the hub has .* sususbot models remove"):
            fetched(hub, tmp_path, name, file)
        assert victim.read_bytes() == bytes(victim.stat().st_size)


def test_a_connection_that_is_cut_is_taken_up_where_it_was(hub: Hub, server: StandInHub, tmp_path: Path) -> None:
    # More often than it has tries: each cut comes after something came.
    server.cuts = [50_000, 1, 100_000, 2, 3, 4]
    assert fetched(hub, tmp_path).read_bytes() == CONTENT
    begins = [int(text.removeprefix("bytes=").removesuffix("-") or 0) for text in server.ranges_asked()]
    assert len(begins) == 7
    assert begins == sorted(begins)
    assert begins[-1] >= 100_000


def test_a_hub_that_sends_nothing_is_given_up_and_what_came_is_kept(
    hub: Hub, server: StandInHub, tmp_path: Path
) -> None:
    server.cuts = [100_000, *[0] * 10]
    with pytest.raises(DownloadFailed, match=r"was lost at 0.0 of 0.0 GB .* goes on from there"):
        fetched(hub, tmp_path)
    (part,) = tmp_path.iterdir()
    assert part.name.endswith(".part")
    assert CONTENT.startswith(part.read_bytes())
    came = part.stat().st_size
    server.cuts, asked = [], len(server.ranges_asked())
    assert fetched(hub, tmp_path).read_bytes() == CONTENT
    assert server.ranges_asked()[asked:] == [f"bytes={came}-"]
    assert names(tmp_path) == {FILE}


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX")
def test_a_program_that_is_killed_goes_on_where_it_was(server: StandInHub, tmp_path: Path) -> None:
    """Ended by SIGKILL while it waits to try again."""
    server.cuts = [200_000, *[0] * 10]
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from sususbot.model import bases\n"
        "from sususbot.model.hub import Hub\n"
        f"hub = Hub({server.url!r}, pauses=(60,))\n"
        "def told(done, of):\n"
        "    print(done, flush=True)\n"
        f"bases.fetch(hub, hub.find({NAME!r}), {FILE!r}, Path(sys.argv[1]), told)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        while int(process.stdout.readline()) < 100_000:
            pass
        process.send_signal(signal.SIGKILL)
    (part,) = tmp_path.iterdir()
    came = part.stat().st_size
    server.cuts, asked = [], len(server.ranges_asked())
    hub = Hub(server.url)
    assert fetched(hub, tmp_path).read_bytes() == CONTENT
    hub.close()
    assert server.ranges_asked()[asked:] == [f"bytes={came}-" if came else ""]


def test_a_folder_that_was_cut_goes_on_with_what_is_missing(hub: Hub, server: StandInHub, tmp_path: Path) -> None:
    server.sent["tokenizer.model"] = b"x" * 500
    with pytest.raises(DownloadFailed, match="the hash differs"):
        fetched(hub, tmp_path, "tea/Kettle", None)
    (aside,) = tmp_path.iterdir()
    assert aside.name == f"Kettle.{COMMIT[:12]}.part"
    assert "model.safetensors" in names(aside)
    assert "tokenizer.model" not in names(aside)
    server.sent, before = {}, len(server.seen)
    assert names(fetched(hub, tmp_path, "tea/Kettle", None)) >= {"tokenizer.model"}
    assert names(tmp_path) == {"Kettle"}
    assert not any("model.safetensors" in path for _, path, _ in server.seen[before:])


@pytest.mark.parametrize("wrong", [CONTENT[:-1] + b"!", CONTENT + b"more", b"<html>", b""])
def test_what_has_another_hash_never_gets_the_name(hub: Hub, server: StandInHub, tmp_path: Path, wrong: bytes) -> None:
    server.sent[FILE] = wrong
    with pytest.raises(DownloadFailed):
        fetched(hub, tmp_path)
    assert not (tmp_path / FILE).exists()
    # Nothing of it is in the way of the right one.
    server.sent = {}
    assert fetched(hub, tmp_path).read_bytes() == CONTENT


def test_small_files_are_checked_too(hub: Hub, server: StandInHub, tmp_path: Path) -> None:
    server.sent["config.json"] = FOLDER["config.json"].replace(b"mistral", b"mistrol")
    with pytest.raises(DownloadFailed, match=r"config.json .*the hash differs"):
        fetched(hub, tmp_path, "tea/Kettle", None)
    assert not (tmp_path / "Kettle").exists()


def test_a_part_of_something_else_is_thrown_away_and_all_comes_anew(hub: Hub, tmp_path: Path) -> None:
    part = tmp_path / f"{FILE}.{hashlib.sha256(CONTENT).hexdigest()[:12]}.part"
    for damaged in (b"x" * 1000, CONTENT[:-1] + b"!", CONTENT + b"more"):
        part.write_bytes(damaged)
        assert fetched(hub, tmp_path).read_bytes() == CONTENT
        assert names(tmp_path) == {FILE}
        (tmp_path / FILE).unlink()


def test_a_hub_that_knows_no_ranges_sends_all_of_it_again(hub: Hub, server: StandInHub, tmp_path: Path) -> None:
    server.ranges, server.cuts = False, [100_000]
    assert fetched(hub, tmp_path).read_bytes() == CONTENT


def test_a_hub_that_promises_more_than_it_has_is_found_out(hub: Hub, server: StandInHub, tmp_path: Path) -> None:
    server.repos[NAME].sizes[FILE] = len(CONTENT) + 10
    with pytest.raises(DownloadFailed, match="the hash differs"):
        fetched(hub, tmp_path)
    assert not (tmp_path / FILE).exists()


def test_a_busy_hub_is_asked_again(hub: Hub, server: StandInHub, tmp_path: Path) -> None:
    server.refusals = [(503, {}), (429, {"Retry-After": "0"})]
    repo = hub.find(NAME)
    server.refusals = [(500, {}), (504, {})]
    assert bases.fetch(hub, repo, FILE, tmp_path, unseen).path.read_bytes() == CONTENT
    server.refusals = [(503, {})] * 4
    with pytest.raises(DownloadFailed, match=r"out of order \(status 503\)"):
        hub.find(NAME)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tea/none", "the hub has no model tea/none"),
        ("tea/Kettle-GGUF", "several files: add the one you want, as in  tea/Kettle-GGUF:Kettle.Q4_K_M.gguf"),
        ("tea/Kettle-GGUF:Q5_K_M", "has no file Q5_K_M: choose one of Kettle.Q4_K_M.gguf, Kettle.Q8_0.gguf"),
        ("tea/Kettle-GGUF:kettle", "may be several files"),
        ("tea/Kettle:Q4", "has no GGUF file"),
        ("tea/papers", "holds neither a GGUF file nor a base"),
        ("tea/split:00001", "is one piece of several"),
        ("kettle", "is no base that is known here: choose one of mistral-7b-q4_k_m"),
        ("../../etc/passwd", "is no name of a model"),
        ("tea/..", "is no name of a model"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(
    hub: Hub, server: StandInHub, tmp_path: Path, text: str, told: str
) -> None:
    server.put("tea/papers", {"paper.pdf": b"x"})
    server.put("tea/split", {"big-Q4-00001-of-00002.gguf": b"x", "big-Q4-00002-of-00002.gguf": b"x", "Q8.gguf": b"x"})

    def fetch() -> None:
        repos, file = bases.parse(text)
        bases.fetch(hub, bases.found(hub, repos), file, tmp_path, unseen)

    with pytest.raises(NotOnHub, match=re.escape(told)):
        fetch()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("piece", ["Kettle.Q8_0.gguf", "kettle.q8_0.GGUF", "Q8", "q8_0"])
def test_a_file_goes_by_a_piece_of_its_name(hub: Hub, tmp_path: Path, piece: str) -> None:
    assert fetched(hub, tmp_path, NAME, piece).name == "Kettle.Q8_0.gguf"


def test_names_that_lead_elsewhere_are_not_followed(hub: Hub, server: StandInHub, tmp_path: Path) -> None:
    bad = {"../../evil.gguf": b"x", "a\\..\\b.gguf": b"x", ".hidden.gguf": b"x", "C:evil.gguf": b"x"}
    server.put("tea/evil", {**bad, "deep/good.gguf": b"y"})
    models = tmp_path / "deep" / "models"
    assert fetched(hub, models, "tea/evil", "good") == models / "good.gguf"
    for name in bad:
        with pytest.raises(NotOnHub):
            fetched(hub, models, "tea/evil", name)
    assert names(tmp_path / "deep") == {"models"}
    assert names(models) == {"good.gguf"}


def test_the_second_home_of_a_known_base_is_tried(hub: Hub, server: StandInHub) -> None:
    server.put("here/it-is", {"a.gguf": b"x"})
    assert bases.found(hub, ("gone/away", "here/it-is")).name == "here/it-is"
    with pytest.raises(NotOnHub, match="gone/away"):
        bases.found(hub, ("gone/away", "gone/too"))


def test_what_is_given_to_who_agreed_comes_with_a_token_that_no_other_host_sees(
    server: StandInHub, tmp_path: Path
) -> None:
    server.token = "hf_right"
    server.repos[NAME].gated = True
    for environment in ({}, {"HF_TOKEN": "hf_wrong"}):
        hub = Hub.of({"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "none"), **environment})
        with pytest.raises(NotOnHub, match=r"agreed to its terms: .* HF_TOKEN"):
            fetched(hub, tmp_path)
        hub.close()
    # As `hf auth login` leaves it.
    (tmp_path / "token").write_text("hf_right\n", encoding="utf-8")
    for environment in ({"HF_TOKEN": "hf_right", "HF_HOME": "/none"}, {"HF_HOME": str(tmp_path)}):
        hub = Hub.of({"HF_ENDPOINT": f"{server.url}/", **environment})
        assert fetched(hub, tmp_path / "models").read_bytes() == CONTENT
        hub.close()
        (tmp_path / "models" / FILE).unlink()
    told = {path.startswith("/cache/"): headers.get("authorization") for _, path, headers in server.seen}
    assert told == {False: "Bearer hf_right", True: None}


def test_without_a_network_there_is_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        # Bound and not listening: nobody answers there.
        taken.bind(("127.0.0.1", 0))
        hub = Hub(f"http://127.0.0.1:{taken.getsockname()[1]}", pauses=(0,))
        with pytest.raises(DownloadFailed, match=r"cannot be reached \(.*\): check the network, or HF_ENDPOINT"):
            fetched(hub, tmp_path)
        hub.close()


def test_a_hub_that_is_lost_while_a_file_comes(server: StandInHub, tmp_path: Path) -> None:
    hub = Hub(server.url, pauses=(0, 0))
    repo = hub.find(NAME)
    hub.endpoint = "http://127.0.0.1:1"
    with pytest.raises(DownloadFailed, match=r"the connection to .* was lost"):
        bases.fetch(hub, repo, FILE, tmp_path, unseen)
    hub.close()


@pytest.mark.parametrize("endpoint", ["hf-mirror.com", "ftp://hub", "localhost:80"])
def test_an_endpoint_that_is_no_address_is_told(endpoint: str) -> None:
    with pytest.raises(SettingsError, match=r"HF_ENDPOINT=.* is no address"):
        Hub.of({"HF_ENDPOINT": endpoint})


def test_an_endpoint_that_is_no_hub_is_told(hub: Hub, server: StandInHub) -> None:
    server.hashes = False
    with pytest.raises(DownloadFailed, match="does not tell sizes and hashes"):
        hub.find(NAME)
    server.refusals = [(200, {})]
    with pytest.raises(DownloadFailed, match="does not answer as a hub does: check HF_ENDPOINT"):
        hub.find(NAME)


def test_two_downloads_of_one_file_do_not_write_into_each_other(hub: Hub, tmp_path: Path) -> None:
    other: list[str] = []
    repo = hub.find(NAME)

    def told(_done: int, _of: int) -> None:
        if not other:
            with pytest.raises(DownloadFailed, match="is being downloaded already") as caught:
                bases.fetch(hub, repo, FILE, tmp_path, unseen)
            other.append(str(caught.value))

    assert bases.fetch(hub, repo, FILE, tmp_path, told).path.read_bytes() == CONTENT
    assert other


# -- the stand-in is what a hub is


def test_hugging_faces_own_client_takes_the_stand_in_for_a_hub(server: StandInHub, tmp_path: Path) -> None:
    library = pytest.importorskip("huggingface_hub")
    info = library.HfApi(endpoint=server.url, token=False).model_info(NAME, files_metadata=True)
    theirs = {one.rfilename: (one.size, one.lfs.sha256 if one.lfs else one.blob_id) for one in info.siblings}
    hub = Hub(server.url)
    ours = hub.find(NAME)
    hub.close()
    assert {file.name: (file.size, file.digest) for file in ours.files} == theirs
    assert ours == Repo(NAME, info.sha, ours.files)
    for name in (FILE, "README.md"):
        path = library.hf_hub_download(NAME, name, endpoint=server.url, token=False, local_dir=tmp_path)
        assert Path(path).read_bytes() == server.repos[NAME].files[name]
    # One client serves the whole process: its idle connections would outlive the hub.
    library.close_session()
