"""The architecture as a test: who may import whom, and who may import what is heavy.

A module imports only from lower layers; rooms of one layer never import each other. Imports inside functions count.
"""

import subprocess
import sys
from typing import Final

from tests.support.sources import files, name_of, source

# Low to high. What stands in one line never imports its neighbours.
LAYERS: Final = (
    ("messages", "errors", "wording", "machine", "sample", "in_place", "log_content"),
    ("settings", "chat_format", "artifacts", "notice", "linking", "proxy", "file_lock"),
    ("archive", "model", "standin", "env_file"),
    ("sources", "corpus", "memory", "safety", "taken_back"),
    ("analysis", "forgetting", "training", "responder"),
    ("explaining",),
    ("evaluation", "doctor"),
    ("bot", "web"),
    ("benchmarks",),
    ("cli",),
)

# Heavy libraries, and the only places that may import them.
FENCES: Final = {
    "aiohttp": ("sources.discord_api", "standin", "bot"),
    "discord": ("bot",),
    "prometheus_client": ("bot.metrics",),
    "sqlite3": ("archive", "benchmarks.importing"),
    "torch": (
        *("memory.bert", "memory.embedding", "memory.summarizer.bart"),
        *("model.causal_lm", "model.causal_lm_scoring", "model.nf4", "training", "benchmarks"),
    ),
    "transformers": (
        *("memory.embedding", "memory.summarizer.bart"),
        *("model.causal_lm", "model.nf4", "model.pieces", "training", "benchmarks"),
    ),
    "tokenizers": ("memory.embedding", "memory.static", "model.pieces", "benchmarks.summarizing"),
    "sentencepiece": ("corpus.tokens", "model.pieces", "training"),
    "accelerate": ("training.processes",),
    "gguf": ("training",),
    "peft": ("model.causal_lm", "training", "benchmarks"),
    "psutil": (
        *("benchmarks", "bot.health", "doctor.checks_machine", "model.child", "training.hardware", "web.trainings"),
    ),
    "pynvml": ("training.hardware",),
    "safetensors": ("memory.bert", "model.causal_lm", "training"),
    "simsimd": ("memory.codes",),
    "sklearn": ("evaluation.voice",),
    "snowballstemmer": ("memory.terms",),
    "py3langid": ("analysis.languages",),
    "matplotlib": ("analysis.charts", "analysis.svg", "evaluation.charts", "training.metrics"),
    "jinja2": ("analysis.html",),
    "markupsafe": ("analysis.page",),
    "phonenumbers": ("wording.privacy",),
    "stdnum": ("wording.privacy",),
    "huggingface_hub": ("memory.embedding", "memory.summarizer.bart", "model.transformers", "training.base"),
    "chromadb": ("memory.chroma_index",),
    "xllamacpp": ("benchmarks.engine", "model.cards", "model.llamacpp_process"),
    "httpx": ("model",),
    "nicegui": ("web",),
    "fastapi": ("web",),
    "uvicorn": ("web",),
    "playwright": ("benchmarks.web",),
    "pydantic": ("settings", "env_file"),
    "dotenv": ("env_file",),
    "pydantic_settings": ("settings",),
    "click": ("cli",),
    "rich": ("cli",),
    "pytest": (),
    "tests": (),
}

# What `import sususbot.cli.main` may load, so that `--help` answers at once.
_HEAVY: Final = ("aiohttp", "discord", "httpx", "numpy", "pydantic", "rich", "sqlite3", "torch", "xllamacpp")


def modules() -> dict[str, set[str]]:
    """Every module of the package, and the names that it imports."""
    found = {name_of(path): source(path).imports for path in files("src")}
    return {name: names for name, names in found.items() if name not in ("__init__", "__main__")}


def layer(room: str) -> int:
    found = [number for number, rooms in enumerate(LAYERS) if room in rooms]
    assert found, f"{room} stands in no layer: add it to LAYERS and to docs/architecture.md"
    return found[0]


def test_imports_point_down() -> None:
    wrong = []
    for module, names in modules().items():
        room = module.split(".")[0]
        for name in names:
            package, _, rest = name.partition(".")
            other = rest.split(".")[0]
            if package == "sususbot" and other not in (room, "", "__version__") and layer(other) >= layer(room):
                wrong.append(f"{module} imports {name}")
    assert not wrong, "not from a lower layer:\n" + "\n".join(wrong)


def test_heavy_libraries_stay_behind_their_fences() -> None:
    wrong = [
        f"{module} imports {name}, which only {allowed} may"
        for module, names in modules().items()
        for name in names
        if (allowed := FENCES.get(name.split(".")[0])) is not None
        and not any(f"{module}.".startswith(f"{place}.") for place in allowed)
    ]
    assert not wrong, "\n".join(wrong)


def test_every_fence_is_needed() -> None:
    used = {name.split(".")[0] for names in modules().values() for name in names}
    assert set(FENCES) - used == {"pytest", "tests"}


def test_the_command_line_loads_nothing_heavy() -> None:
    # Python's own look at what is installed takes as long as all the rest of a start.
    names = [*_HEAVY, "importlib.metadata"]
    code = f"import sys, sususbot.cli.main; print([name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.strip() == "[]"
