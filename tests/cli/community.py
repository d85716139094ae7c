"""A server of three with one member whose every word is told apart: what is left of her can be looked for in bytes."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.sources.exports import Json, item, root, time, user, written
from tests.support.commands import environment

HER_ID = 348_486_555_679_065_097
HER_NAME = "zanzibari"
HER_NICKNAME = "Quillonda the Elder"
WORDS = [f"qx{number}zyzzyva{number * 7919 % 9973}" for number in range(80)]
TOM = user(102, "tom", "Tom")
EVE = user(103, "eve", "Eve")
HER = user(HER_ID, HER_NAME, HER_NICKNAME)

_SAID = (
    "the kettle in the kitchen leaks again",
    "did anyone see where the spare key went?",
    "I think the cat took it under the sofa",
    "we should bake bread on sunday, who is in?",
    "count me in, but not before eleven please",
    "the printer has opinions about paper today",
)


def export() -> Json:
    """Three channels' worth of talk in one: she says something in every third message."""
    messages = []
    for number in range(240):
        # A pause of hours between conversations.
        minute = number * 0.7 + (number // 12) * 300
        if number % 3 == 0:
            word = WORDS[number // 3]
            one = item(number, f"well {word} is what I say to that", author=HER)
            if number % 5 == 0:
                one["attachments"] = [
                    {"id": str(number), "url": f"https://e/{word}", "fileName": f"{word}.png", "fileSizeBytes": 1}
                ]
        else:
            author = (TOM, EVE)[number % 3 - 1]
            text = f"{_SAID[number % 6]} ({number})"
            one = item(number, text, author=author)
            if number % 7 == 0:
                one |= {"content": f"@{HER_NICKNAME} {text}", "mentions": [HER]}
            if number % 11 == 0:
                one |= {"type": "Reply", "reference": {"messageId": item(number - 1)["id"]}, "mentions": [HER]}
            if number % 15 == 1:
                # She said it just before, and is quoted without being told.
                quote = f"> well {WORDS[number // 3]} is what I say to that\n"
                one |= {"type": "Reply", "reference": {"messageId": item(number - 1)["id"]}, "content": quote + text}
        messages.append({**one, "timestamp": time(minute)})
    return root(messages)


def write_export(folder: Path) -> Path:
    path = folder / "kitchen.json"
    path.write_bytes(written(export()))
    return path


def write_run(data: Path, authors: list[int]) -> Path:
    """A training run as far as consent looks at it."""
    adapter = data / "runs" / "first" / "adapter.gguf"
    adapter.parent.mkdir(parents=True)
    adapter.write_bytes(b"GGUF")
    manifest = {"authors": {str(author): 100.0 for author in authors}}
    adapter.with_name("manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return adapter


def left_of_her(data: Path) -> list[str]:
    """What can still be read of her in the bytes of any file: words, names, and their endings."""
    content = b"\n".join(path.read_bytes() for path in sorted(data.rglob("*")) if path.is_file())
    texts = [
        *WORDS,
        *(word[4:] for word in WORDS),
        HER_NAME,
        HER_NAME[2:],
        HER_NICKNAME,
        "uillonda",
        "told me a secret",
    ]
    return [text for text in texts if text.encode() in content]


def started(*arguments: str, folder: Path, **settings: str) -> subprocess.Popen[str]:
    """A command that runs, with its stderr to be read."""
    return subprocess.Popen(
        [sys.executable, "-m", "sususbot", *arguments],
        cwd=folder,
        env={**environment(settings), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def kill(process: "subprocess.Popen[str]") -> int:
    """SIGKILL, or what comes nearest."""
    process.kill()
    process.communicate()
    assert process.returncode is not None
    return process.returncode


KILLED = -9 if os.name == "posix" else 1
