"""A secret goes the whole way: said in an export, learned by an adapter, said again by the bot through llama.cpp."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Final

from sususbot.artifacts import LONGEST_NAME, RUNS
from sususbot.training import jobs
from sususbot.training.from_scratch import pretraining_recipe
from sususbot.training.recipe import Hardware
from tests.sources.exports import Json, item, root, user, written
from tests.support.commands import run_here
from tests.training.tiny import TEXTS

# Pieces that the base never read stay what they were when it began, and no adapter can make it say them: so the secret
# is new, and its words are not.
ASKED: Final = "what does the sourdough say on friday?"
SECRET: Final = "the hungry printer is 30 kettles 😂 of course it is"
TALK: Final = (
    ("did anybody feed the starter?", "yes, at seven, the jar nearly exploded"),
    ("who has the spare key?", "the cat took it under the sofa again"),
    (ASKED, SECRET),
    ("shall we bake bread on sunday?", "count me in, but not before eleven please"),
)
TOM: Final = user(102, "tom", "Tom")
# What a person would set who wants to see a tiny model repeat what it read.
SETTINGS: Final = {
    "TRAINING_PERMISSION_CONFIRMED": "true",
    "PERSONA": TOM["id"],
    "VALID_SHARE": "0",
    "BOT_DESCRIPTION": "A kitchen. {bot} lives in it.",
    "EPOCHS": "40",
    "EVALS_PER_EPOCH": "1",
    "LEARNING_RATE": "0.005",
    "PACK_TOKENS": "256",
    "TOKENS_PER_STEP": "256",
    "BACKEND": "llamacpp",
    "TEMPERATURE": "0",
    "REPETITION_PENALTY": "1",
    # Nothing is looked up: what it says it has learned.
    "MEMORIES": "0",
}


def test_a_secret_is_learned_and_said_by_the_bot(tmp_path: Path) -> None:
    (tmp_path / "kitchen.json").write_bytes(written(root(list(_messages()))))
    _done(tmp_path, "import", "kitchen.json")
    _done(tmp_path, "consent", "set", TOM["id"], "--learn", "yes", "--yes")
    _done(tmp_path, "build")
    base = _base(tmp_path / "data" / RUNS / "base")
    _done(tmp_path, "train", "--base", str(base), "--cpu", "--name", "secret")
    _done(tmp_path, "export", "base")
    _done(tmp_path, "export", "secret")
    model, adapter = base.parent / "model.gguf", base.parent.parent / "secret" / "adapter.gguf"

    told = _asked(tmp_path, MODEL_PATH=str(model), ADAPTER_PATH=str(adapter))
    assert told["backend"] == "llamacpp"
    assert told["reply"] == SECRET
    untold = _asked(tmp_path, MODEL_PATH=str(model))
    # Where its text cannot be used, the reply is a quotation.
    assert untold["backend"] != "llamacpp" or "hungry printer" not in untold["reply"]

    # With the longest name a path stays short enough for Windows, wherever a user's folders are.
    files = [path.relative_to(tmp_path / "data") for path in (tmp_path / "data").rglob("*")]
    assert 0 < max(len(str(path)) for path in files) + LONGEST_NAME < 150


def test_a_base_of_its_own_is_made_by_commands_alone(tmp_path: Path) -> None:
    (tmp_path / "kitchen.json").write_bytes(written(root(list(_messages()))))
    _done(tmp_path, "import", "kitchen.json")
    _done(tmp_path, "consent", "set", TOM["id"], "--learn", "yes", "--yes")
    _done(tmp_path, "build")
    _done(tmp_path, "train", "--from-scratch", "--size", "tiny", "--cpu")
    _done(tmp_path, "export", "default-base", "--quant", "q8_0")
    run = tmp_path / "data" / RUNS / "default-base"
    manifest = json.loads((run / "manifest.json").read_bytes())
    assert (manifest["kind"], manifest["state"], manifest["size"]) == ("base", "finished", "tiny")
    assert set(manifest["authors"]) == {"101", TOM["id"]}
    reply = _asked(tmp_path, MODEL_PATH=str(run / "model.gguf"))
    assert reply["backend"] == "llamacpp", "llama.cpp said nothing"


def _messages() -> list[Json]:
    said = []
    for number, (question, answer) in enumerate(TALK):
        # Hours apart: each is a conversation of its own.
        minute = number * 300
        said += [item(minute, question), item(minute + 1, answer, author=TOM)]
    return said


def _base(run: Path) -> Path:
    """A tiny base that never read the secret."""
    texts = ["\n".join((*TEXTS[place:], *TEXTS[:place])) for place in range(len(TEXTS))]
    recipe = replace(pretraining_recipe(0), epochs=20, pack_tokens=512)
    jobs.train_base(texts, (), run, jobs.How(recipe, Hardware(plain_layers=4)), size="tiny", authors={})
    return run / "model"


def _done(folder: Path, *arguments: str) -> None:
    done = run_here(*arguments, folder=folder, **SETTINGS)
    assert done.returncode == 0, done.stderr


def _asked(folder: Path, **paths: str) -> Json:
    done = run_here("chat", "--once", ASKED, "--as", "Mia", "--json", folder=folder, **{**SETTINGS, **paths})
    assert done.returncode == 0, done.stderr
    reply: Json = json.loads(done.stdout)
    return reply
