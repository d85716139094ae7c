"""A merged folder is what peft makes of base and adapter, file by file as the base was."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from sususbot.errors import AdapterUnfit, BaseUnfit, ExportFailed
from sususbot.training.merge import merge
from tests.training import killable, tiny


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    return tiny.adapter(tmp_path_factory.mktemp("adapter"), base)


def pefts(base: Path, adapter: Path) -> dict[str, torch.Tensor]:
    """What peft merges, in fp32."""
    model = tiny.load(base).float()
    with tiny.known_warnings():
        merged: Any = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    return dict(merged.state_dict())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("family", ["mistral", "qwen2"])
def test_merged_is_what_peft_merges(tmp_path: Path, dtype: torch.dtype, family: str) -> None:
    base = tiny.base(tmp_path / "base", family=family, dtype=dtype)
    adapter = tiny.adapter(tmp_path / "adapter", base, alpha_pattern={"q_proj": 5}, rank_pattern={"v_proj": 3})
    written = merge(base, adapter, tmp_path / "merged")
    theirs = pefts(base, adapter)
    ours = load_file(tmp_path / "merged" / "model.safetensors")
    before = load_file(base / "model.safetensors")
    assert written.tensors == len(ours)
    assert ours.keys() == before.keys()
    changed = set()
    for name, weight in ours.items():
        assert weight.dtype == dtype
        torch.testing.assert_close(weight, theirs[name].to(dtype), rtol=torch.finfo(dtype).eps, atol=1e-6)
        if not torch.equal(weight, before[name]):
            changed.add(name.split(".")[-2])
    assert changed == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_the_folder_is_a_model_with_its_tokenizer(base: Path, adapter: Path, tmp_path: Path) -> None:
    merge(base, adapter, tmp_path / "merged")
    names = {path.name for path in base.iterdir()}
    assert {path.name for path in (tmp_path / "merged").iterdir()} == names
    assert (tmp_path / "merged" / "config.json").read_bytes() == (base / "config.json").read_bytes()
    model: Any = tiny.load(tmp_path / "merged")
    ids = AutoTokenizer.from_pretrained(tmp_path / "merged")("mia: hello", return_tensors="pt")["input_ids"]
    with tiny.known_warnings(), torch.no_grad():
        adapted: Any = PeftModel.from_pretrained(tiny.load(base), str(adapter))
        torch.testing.assert_close(model(input_ids=ids).logits, adapted(input_ids=ids).logits, rtol=1e-4, atol=1e-4)


def test_several_files_stay_several(adapter: Path, tmp_path: Path) -> None:
    base = tiny.base(tmp_path / "base")
    (base / "model.safetensors").unlink()
    tiny.random_model(tiny.config_of()).save_pretrained(base, max_shard_size="100KB")
    # A second copy of all weights, as Mistral's repository has one, is left behind.
    save_file({"weight": torch.ones(2)}, base / "consolidated.safetensors")
    told: list[tuple[int, int]] = []
    merge(base, adapter, tmp_path / "merged", lambda done, total: told.append((done, total)))
    index = json.loads((tmp_path / "merged" / "model.safetensors.index.json").read_text(encoding="utf-8"))
    assert index == json.loads((base / "model.safetensors.index.json").read_text(encoding="utf-8"))
    held: dict[str, str] = {}
    for name in set(index["weight_map"].values()):
        assert (tmp_path / "merged" / name).stat().st_size == (base / name).stat().st_size
        held |= dict.fromkeys(load_file(tmp_path / "merged" / name), name)
    assert held == index["weight_map"]
    assert not (tmp_path / "merged" / "consolidated.safetensors").exists()
    assert told == [(number, len(held)) for number in range(1, len(held) + 1)]
    theirs = pefts(base, adapter)
    for name, weight in tiny.load(tmp_path / "merged").state_dict().items():
        torch.testing.assert_close(weight, theirs[name])


def test_an_adapter_of_another_base_is_refused(adapter: Path, tmp_path: Path) -> None:
    base = tiny.base(tmp_path / "base", intermediate_size=96)
    with pytest.raises(AdapterUnfit, match=r"another base than .*down_proj is 64 × 128, the base's is 64 × 96"):
        merge(base, adapter, tmp_path / "merged")
    base = tiny.base(tmp_path / "short", num_hidden_layers=1)
    with pytest.raises(AdapterUnfit, match=r"its model.layers.1.mlp.down_proj is 64 × 128, the base's is not there"):
        merge(base, adapter, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_a_quantised_base_is_refused(base: Path, adapter: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "base"))
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.0.mlp.up_proj.weight"] = torch.ones(128, 64, dtype=torch.uint8)
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(BaseUnfit, match=r"is quantised .*--base"):
        merge(folder, adapter, tmp_path / "merged")


def test_what_overflows_is_refused(tmp_path: Path) -> None:
    base = tiny.base(tmp_path / "base", dtype=torch.float16)
    adapter = tiny.adapter(tmp_path / "adapter", base, strength=300.0)
    with pytest.raises(AdapterUnfit, match=r"is larger than torch.float16 can hold"):
        merge(base, adapter, tmp_path / "merged")
    assert not list(tmp_path.glob(".*"))


def test_a_folder_that_is_there_is_never_touched(base: Path, adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportFailed, match="is there already: delete it, or choose another"):
        merge(base, adapter, tmp_path)


def killed_in_the_middle(base: Path, adapter: Path, out: Path) -> None:
    def die(done: int, total: int) -> None:
        if done == total // 2:
            os.kill(os.getpid(), signal.SIGKILL)

    merge(base, adapter, out, die)


def too_large(base: Path, adapter: Path, out: Path) -> None:
    """In a process whose files may have so many bytes."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    with pytest.raises(ExportFailed, match="cannot be written") as caught:
        merge(base, adapter, out)
    assert str(caught.value).startswith(f"{out} cannot be written (")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows kills otherwise")
def test_a_kill_in_the_middle_leaves_no_folder(base: Path, adapter: Path, tmp_path: Path) -> None:
    out = tmp_path / "merged"
    killable.run_to_its_kill(killed_in_the_middle, base, adapter, out)
    assert not out.exists()
    merge(base, adapter, out)
    assert [path.name for path in tmp_path.iterdir()] == ["merged"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_a_full_disk_is_told(base: Path, adapter: Path, tmp_path: Path) -> None:
    out = tmp_path / "merged"
    killable.run(too_large, base, adapter, out)
    assert not list(tmp_path.iterdir())
