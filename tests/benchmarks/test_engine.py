"""Our path to llama.cpp and the bare one, in small: the same tokens, and a time for each."""

from pathlib import Path

from sususbot.benchmarks.engine import compare
from tests.support import tiny_gguf


def test_both_say_the_same_to_the_same(tmp_path: Path) -> None:
    model = tiny_gguf.write_model(tmp_path / "tiny.gguf")
    adapter = tiny_gguf.write_adapter(tmp_path / "adapter.gguf")
    prompts = [f"mia: the quick fox {'eats cake ' * number}\nsusu:" for number in range(1, 5)]
    both = compare(model, adapter, prompts, 1024, 1)
    assert both.same == 1.0
    assert both.ours.said[0]
    for side in (both.ours, both.bare):
        assert len(side.first) == len(side.each) == len(prompts)
        assert min(side.first) > 0
    assert both.decode_share > 0
    assert both.first_ratio > 0
