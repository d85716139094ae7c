"""The benchmark for cards, run from end to end on the processor with a model of small size."""

import json

import pytest
import torch

from sususbot.benchmarks.train_gpu import main

SMALL = "--layers 2 --hidden 64 --ffn 192 --heads 4 --kv-heads 2 --vocab 300 --tokens 256 --steps 3 --rank 4".split()


def test_it_trains_both_ways_and_tells_what_it_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--cpu", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    ours, bare = told["metrics"], told["baseline"]
    assert told["name"] == "train_gpu"
    assert (ours["plain_layers"], bare["plain_layers"]) == (2, 0)
    for way in (ours, bare):
        assert 0 < way["mfu"] <= way["mfu_with_recomputed"] < 1
        assert way["tokens_per_s"] > 0
        assert way["skipped_steps"] == way["times_memory_ran_out"] == 0
        assert 0.8 < way["useful_share"] <= 1
        assert way["hours_63k_messages"] == pytest.approx(3 * 1.6e6 / way["tokens_per_s"] / 3600)
        # A processor says nothing about a card.
        assert way["hours_63k_messages_2080_ti_from"] is None
    assert ours["peak_allocated_gb"] > bare["peak_allocated_gb"]


def test_it_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--cpu", "--plain-layers", "1", "--steps", "1"]) == 0
    told = capsys.readouterr().out
    assert "1 of 2 layers kept" in told
    assert "peak_vram_gb" in told


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_without_a_card_it_says_so_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "--cpu" in err
