"""What is chosen for a machine fits it, says why, and is told honestly; cards that nothing can use are named."""

from pathlib import Path

import pytest

from sususbot import env_file
from sususbot.doctor.choice import Machine, choose, kv_bytes, this_machine
from sususbot.model.bases import KNOWN
from sususbot.model.cards import Card, IdleCard, idle_on_linux

GIB = 1 << 30
MODELS = Path("data/models")


def machine(gigabytes: float, driver: str | None = "580.65.06", *, usable: bool = True) -> Machine:
    return Machine("Linux 6.1", 16, 64 * GIB, Card("RTX 9", int(gigabytes * GIB), usable, driver))


@pytest.mark.parametrize(
    ("gigabytes", "base", "context", "kind", "preset"),
    [
        (4, "mistral-7b-q4_k_m", 2048, "q8_0", None),
        (6, "mistral-7b-q4_k_m", 4096, "f16", None),
        (7.9, "mistral-7b-q4_k_m", 4096, "f16", "8"),
        (8, "mistral-7b-q5_k_m", 4096, "f16", "8"),
        (10.8, "mistral-7b-q6_k", 4096, "f16", "11"),
        (12, "mistral-7b-q8_0", 4096, "f16", "11"),
        (15.9, "mistral-7b-q8_0", 8192, "f16", "16"),
        (24, "mistral-7b-q8_0", 8192, "f16", "24"),
    ],
)
def test_a_card_gets_what_fits_it(gigabytes: float, base: str, context: int, kind: str, preset: str | None) -> None:
    choice = choose(machine(gigabytes), MODELS)
    assert choice.base.name == base
    values = choice.values
    assert (values["context_tokens"], values.get("kv_type", "f16"), values.get("vram_preset")) == (
        str(context),
        kind,
        preset,
    )
    assert Path(values["model_path"]) == MODELS / str(choice.base.file)
    if gigabytes >= 6:
        assert choice.base.size + kv_bytes(context, kind) < gigabytes * GIB - 1e9  # type: ignore[arg-type]
    env_file.checked(values)
    assert {"backend", "model_path", "base_model", "context_tokens"} <= choice.reasons.keys() <= values.keys()
    assert all(reason.startswith("Chosen") for reason in choice.reasons.values())


def test_a_context_is_counted_as_the_engine_counts_it() -> None:
    """Mistral-7B has 32 layers with 8 heads of 128 for keys and as many for values: 128 KiB a token in 16 bits."""
    assert kv_bytes(1, "f16") == 128 * 1024
    assert kv_bytes(1, "q8_0") == 128 * 1024 * (34 / 32) / 2


def test_the_model_answers_once_it_is_there(tmp_path: Path) -> None:
    before = choose(machine(11), tmp_path)
    assert before.values["backend"] == "recall"
    assert "sususbot models download --use" in before.reasons["backend"]
    Path(before.values["model_path"]).write_bytes(b"")
    assert choose(machine(11), tmp_path).values["backend"] == "llamacpp"
    assert choose(Machine("Linux", 4, 16 * GIB), tmp_path).values["backend"] == "recall"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (machine(11), "to train: Mistral-7B in 4 bits, VRAM_PRESET=11"),
        (machine(6), "to train: not on this card, which takes 8 GB and has 6"),
        (machine(4), "in part on the card, so replies are slower"),
        (machine(16, driver=None), "to train: not on this card, which takes an NVIDIA one (CUDA)"),
        (machine(11, usable=False), "the installed llama.cpp is built for the processor alone"),
        (Machine("Linux", 4, 16 * GIB), "a model takes many seconds for a reply"),
        (Machine("Linux", 4, 4 * GIB), "for a model there is too little memory"),
        (Machine("Linux", 4, 16 * GIB, None, IdleCard("NVIDIA", "NVIDIA card")), "NVIDIA's driver is not: install it"),
        (
            Machine("Windows 11", 4, 16 * GIB, None, IdleCard("AMD", "Radeon RX 6800", 16 * GIB)),
            "the Radeon RX 6800 is",
        ),
    ],
)
def test_what_the_machine_is_good_for_is_told(asked: Machine, told: str) -> None:
    assert any(told in line for line in choose(asked, MODELS).told)


def test_without_a_card_nothing_is_named_that_recall_does_not_need() -> None:
    values = choose(Machine("Linux", 4, 16 * GIB), MODELS).values
    assert values.keys() == {"backend"}


def test_this_machine_is_known() -> None:
    here = this_machine()
    assert here.memory_bytes > GIB // 4
    assert f"{here.cores} cores" in str(here)
    assert choose(here, MODELS).base in KNOWN


def test_cards_without_a_tool_are_found_where_linux_lists_them(tmp_path: Path) -> None:
    for place, facts in {
        "card0": {"vendor": "0x8086"},
        "card1": {"vendor": "0x1002", "mem_info_vram_total": str(8 * GIB)},
        "card2": {"vendor": "0x1002", "mem_info_vram_total": str(GIB // 2)},
        "card3": {"vendor": "0x10de"},
        "card3-DP-1": {"vendor": "0x10de"},
    }.items():
        device = tmp_path / place / "device"
        device.mkdir(parents=True)
        for name, content in facts.items():
            (device / name).write_text(f"{content}\n", encoding="utf-8")
    assert list(idle_on_linux(tmp_path)) == [IdleCard("AMD", "AMD card", 8 * GIB), IdleCard("NVIDIA", "NVIDIA card")]
    assert list(idle_on_linux(tmp_path / "none")) == []
