"""Model files and adapters that fit, that do not, and that are none."""

from pathlib import Path
from typing import Any

import pytest

from sususbot.doctor import checks_model
from sususbot.doctor.findings import Finding
from sususbot.env_file import checked
from tests.support import tiny_gguf
from tests.training import tiny

GB = 1_000_000_000


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_gguf.write_model(folder / "tiny.gguf")
    tiny_gguf.write_adapter(folder / "fits.gguf")
    tiny_gguf.write_adapter(folder / "wide.gguf", width=128)
    (folder / "cut.gguf").write_bytes((folder / "tiny.gguf").read_bytes()[:3000])
    return folder


def looked(data: Path, *, cards: tuple[int, ...] = (), free: int = 8 * GB, **values: Any) -> list[Finding]:
    settings = checked({name: str(value) for name, value in values.items()})
    return list(checks_model.model(settings, data, cards=cards, free=free))


def states(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.name, finding.state) for finding in findings]


def test_what_needs_no_file(tmp_path: Path) -> None:
    assert states(looked(tmp_path)) == [("model", "ok")]
    assert states(looked(tmp_path, backend="openai")) == [("model", "wrong")]
    (finding,) = looked(tmp_path, backend="openai", openai_base_url="http://me:secret@127.0.0.1:1/v1")
    assert finding.state == "ok"
    assert "secret" not in finding.sentence


def test_a_model_file_that_is_whole_cut_missing_or_not_named(models: Path) -> None:
    assert states(looked(models, backend="llamacpp")) == [("model", "wrong")]
    for name, state in (("none.gguf", "wrong"), ("cut.gguf", "wrong"), ("fits.gguf", "wrong")):
        assert states(looked(models, backend="llamacpp", model_path=models / name)) == [("model", state)]
    found = looked(models, backend="llamacpp", model_path=models / "tiny.gguf")
    assert states(found) == [("model", "ok"), ("memory", "ok")]
    assert "2 layers" in found[0].sentence


def test_room_in_memory_and_on_the_card(models: Path) -> None:
    given: dict[str, Any] = {"backend": "llamacpp", "model_path": models / "tiny.gguf"}
    assert states(looked(models, free=GB // 10, **given))[1] == ("memory", "warning")
    assert states(looked(models, cards=(11 * GB,), free=0, **given))[1] == ("memory", "ok")
    found = looked(models, cards=(GB // 2,), free=0, **given)
    assert found[1].state == "warning"
    assert "0 fit" in found[1].sentence


def test_an_adapter_that_fits_and_others(models: Path) -> None:
    given: dict[str, Any] = {"backend": "llamacpp", "model_path": models / "tiny.gguf"}
    for name, state in (("fits.gguf", "ok"), ("wide.gguf", "wrong"), ("tiny.gguf", "wrong"), ("none.gguf", "wrong")):
        found = looked(models, adapter_path=models / name, **given)
        assert states(found)[2:] == [("adapter", state)], name


def test_a_base_of_transformers_with_its_adapter(tmp_path: Path) -> None:
    base = tiny.base(tmp_path / "base")
    assert states(looked(tmp_path, backend="transformers", base_model=tmp_path / "none"))[0] == ("model", "wrong")
    given: dict[str, Any] = {"backend": "transformers", "base_model": base}
    assert states(looked(tmp_path, **given)) == [("model", "ok"), ("adapter", "skipped")]
    run = tmp_path / "data" / "runs" / "winter"
    assert states(looked(tmp_path, adapter_path=run / "adapter", **given))[1] == ("adapter", "wrong")
    (run / "adapter").mkdir(parents=True)
    (run / "adapter" / "adapter_config.json").write_text("{}", encoding="utf-8")
    for name, state in ((str(base), "ok"), ("another", "wrong")):
        (run / "manifest.json").write_text(f'{{"authors": {{}}, "base": {{"name": "{name}"}}}}', encoding="utf-8")
        found = looked(tmp_path / "data", adapter_path=run / "adapter", **given)
        assert states(found)[1] == ("adapter", state)
    (base / "model.safetensors").unlink()
    assert states(looked(tmp_path, **given))[0] == ("model", "wrong")
