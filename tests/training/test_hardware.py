"""Machines as values: which card will do, what is said where none does, and what is seen while one trains."""

import shutil
from pathlib import Path

import pytest
import torch

from sususbot.errors import NoGpu, TooLittleDisk, TooLittleMemory
from sususbot.training import hardware
from sususbot.training.hardware import Card, Cards, Sample, Watch, driver_fits, is_out_of_memory, spilled

TI = Card(0, "GeForce RTX 2080 Ti", (7, 5), 11_554_717_696, 10_200_000_000, ("sm_75", "sm_80", "sm_86", "compute_120"))
HOME = Cards((TI,), "2.15.0+cu130", "13.0", "580.65.06", (TI.name,))
HOUR = 3600 * 1e11


def found(cards: Cards, needed: int = 7_000_000_000, hours: float = 30) -> Card:
    return hardware.check_card(cards, needed, hours * HOUR, lambda: 1e11)


def refused(cards: Cards, hours: float = 30) -> str:
    with pytest.raises(NoGpu) as caught:
        found(cards, hours=hours)
    return str(caught.value)


def test_a_card_that_will_do_is_given() -> None:
    assert found(HOME) is TI


def test_a_build_for_processors_is_told_from_a_machine_without_a_card() -> None:
    alone = refused(Cards((), "2.13.0+cpu", None, "580.65.06", (TI.name,)))
    assert alone == (
        "torch 2.13.0+cpu is built for processors only and leaves the GeForce RTX 2080 Ti alone: run  pip install "
        "--force-reinstall torch --index-url https://download.pytorch.org/whl/cu130; or say  --cpu  (on the processor "
        "it takes at least 30 hours)"
    )
    assert "whl/cu126" in refused(Cards((), "2.13.0+cpu", None, "560.94", (TI.name,)))
    assert "no NVIDIA card was found, and torch 2.13.0+cpu" in refused(Cards((), "2.13.0+cpu", None))
    assert "no NVIDIA card was found: train on a machine" in refused(Cards((), "2.15.0+cu130", "13.0"))


def test_a_driver_older_than_the_build_is_told_with_the_one_it_needs() -> None:
    old = refused(Cards((), "2.15.0+cu130", "13.0", "560.94", (TI.name,)))
    assert "driver 560.94 of the GeForce RTX 2080 Ti is too old for torch 2.15.0+cu130 (CUDA 13.0)" in old
    assert "driver 580 or newer" in old


def test_a_card_that_is_hidden_or_does_not_answer_is_told() -> None:
    assert "CUDA_VISIBLE_DEVICES" in refused(Cards((), "2.15.0+cu130", "13.0", "580.65", (TI.name,), hidden=True))
    dumb = refused(Cards((), "2.15.0+cu130", "13.0", "580.65", (TI.name,), complaint="CUDA unknown error"))
    assert "cannot use the GeForce RTX 2080 Ti (CUDA unknown error): restart" in dumb


def test_more_processes_than_cards_are_refused() -> None:
    with pytest.raises(NoGpu, match=r"more processes than cards \(1\)"):
        hardware.check_card(HOME, 0, HOUR, lambda: 1e11, index=1)


@pytest.mark.parametrize(
    ("capability", "known"), [((7, 5), True), ((8, 6), True), ((8, 9), True), ((12, 1), True), ((6, 1), False)]
)
def test_a_card_that_torch_has_no_code_for_is_refused(capability: tuple[int, int], known: bool) -> None:
    card = Card(0, "some card", capability, TI.total_bytes, TI.free_bytes, TI.arches)
    cards = Cards((card,), "2.15.0+cu130", "13.0", "580.65", (card.name,))
    if known:
        assert found(cards) is card
    else:
        assert "no code for the some card (compute capability 6.1): run  pip install" in (told := refused(cards))
        assert "cu126" in told


def test_a_card_newer_than_torch_gets_a_newer_torch() -> None:
    card = Card(0, "new card", (13, 0), TI.total_bytes, TI.free_bytes, ("sm_75", "sm_120"))
    assert "cu130" in refused(Cards((card,), "2.13.0+cu126", "12.6", "580.65", (card.name,)))


def test_too_little_memory_says_what_would_help() -> None:
    with pytest.raises(TooLittleMemory) as busy:
        found(HOME, needed=11_000_000_000)
    assert str(busy.value) == (
        "training needs about 11.0 GB of memory on the GeForce RTX 2080 Ti and 10.2 of its 11.6 GB are free: close "
        "what else uses the card (games, browsers, other models), or set VRAM_PRESET=8 or a lower PACK_TOKENS"
    )
    with pytest.raises(TooLittleMemory, match=r"which has 11\.6 GB: .*smaller BASE_MODEL"):
        found(HOME, needed=20_000_000_000)
    hardware.check_memory(8, 8)
    with pytest.raises(TooLittleMemory, match="LOAD_IN_4BIT=true"):
        hardware.check_memory(8, 9)


def test_too_little_disk_is_told_also_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "first"
    free = shutil.disk_usage(tmp_path).free
    hardware.check_disk(folder, 1)
    with pytest.raises(TooLittleDisk, match=r"need [\d,.]+ GB in .*first and its disk has [\d,.]+ .B: make room"):
        hardware.check_disk(folder, free + 10**12)
    assert not folder.parent.exists()


@pytest.mark.parametrize(
    ("hours", "told"), [(0.001, "a few minutes"), (1, "60 minutes"), (30, "30 hours"), (24 * 90, "90 days")]
)
def test_time_on_the_processor_is_told_in_words(hours: float, told: str) -> None:
    assert hardware.on_processor(hours * HOUR, 1e11).endswith(told)


@pytest.mark.parametrize(
    ("driver", "cuda", "fits"),
    [
        ("580.65.06", "13.0", True),
        ("579.99", "13.2", False),
        ("525.60.13", "12.8", True),
        ("522.06", "12.1", False),
        ("610.10", "13.2", True),
        ("450.80.02", "11.8", True),
        ("580.65", "14.0", True),
        ("560.94", "14.0", False),
    ],
)
def test_a_driver_runs_what_was_built_for_its_family_of_cuda(driver: str, cuda: str, fits: bool) -> None:
    assert driver_fits(driver, cuda) is fits


def test_this_machine_is_described_without_an_error() -> None:
    cards = hardware.find_cards()
    assert cards.torch == torch.__version__
    assert cards.cuda == torch.version.cuda
    assert hardware.free_memory() > 0
    hardware.cap_memory(torch.device("cpu"), 1)


def test_the_rate_of_products_is_plausible() -> None:
    assert 1e8 < hardware.matmul_rate(torch.device("cpu"), torch.float32, seconds=0.01) < 1e15


def test_there_is_nothing_to_see_of_a_processor() -> None:
    watch = Watch(torch.device("cpu"))
    assert watch.sample() == Sample()
    assert set(watch.sample().figures().values()) == {None}
    watch.close()


def test_running_out_of_memory_is_told_from_other_errors() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert is_out_of_memory(RuntimeError("CUDA error: out of memory"))
    assert is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("CUDA out of memory"))


def test_the_processor_running_out_of_memory_is_known_by_a_real_error() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 55, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


FULL = Sample(own_bytes=10_000, used_bytes=10_990, total_bytes=11_000)
ROOM = Sample(own_bytes=8_000, used_bytes=9_000, total_bytes=11_000)
STEADY = [800.0, 810.0, 790.0, 800.0, 805.0]


def test_a_spill_is_a_full_card_and_a_third_of_the_speed() -> None:
    told = spilled(FULL, 10_500, 250.0, STEADY)
    assert told is not None
    assert "fell from 800 to 250 tokens/s" in told
    assert spilled(Sample(own_bytes=10_600, used_bytes=10_600, total_bytes=11_000), 10_500, 250.0, STEADY)


def test_a_full_card_alone_or_a_slow_step_alone_is_no_spill() -> None:
    assert spilled(FULL, 10_500, 700.0, STEADY) is None
    assert spilled(ROOM, 10_500, 250.0, STEADY) is None
    assert spilled(Sample(), 10_500, 250.0, STEADY) is None
    assert spilled(FULL, 10_500, 250.0, STEADY[:3]) is None
