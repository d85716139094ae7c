"""Attention by document is transformers' own attention, and no document sees another."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedConfig

from sususbot.training import attention
from sususbot.training.batches import Batch, batch
from sususbot.training.documents import Document
from tests.training import tiny
from tests.training.learning import document

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
LENGTHS = (1, 2, 31, 64, 7, 100)

States = Callable[[Batch], torch.Tensor]


def documents() -> list[Document]:
    return [document(length, seed) for seed, length in enumerate(LENGTHS)]


def model_of(config: PreTrainedConfig, implementation: str) -> Any:
    """One set of weights for each config, whatever attends."""
    weights = tiny.random_model(config).state_dict()
    load: Any = AutoModelForCausalLM.from_config
    model: Any = load(config, attn_implementation=implementation)
    model.load_state_dict(weights)
    return model.train()


def ours(model: Any) -> States:
    def states(row: Batch) -> torch.Tensor:
        hidden: torch.Tensor = model.get_decoder()(
            input_ids=row.ids, position_ids=row.positions, use_cache=False, lengths=row.lengths
        ).last_hidden_state[0]
        return hidden

    return states


def stock(model: Any, **options: Any) -> States:
    def states(row: Batch) -> torch.Tensor:
        hidden: torch.Tensor = model.get_decoder()(
            input_ids=row.ids, position_ids=row.positions, **options
        ).last_hidden_state[0]
        return hidden

    return states


def leak(states: States, some: Sequence[Document]) -> float:
    """How far the states of all documents but the first move when only the first is another one."""
    first = len(some[0])
    other = document(first, seed=99)
    before = states(batch(some))[first:]
    return float((states(batch([other, *some[1:]]))[first:] - before).abs().max().detach())


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_document_alone_is_attended_as_transformers_does(family: str, implementation: str) -> None:
    config = tiny.config_of(family)
    mine, theirs = model_of(config, attention.register()), model_of(config, implementation)
    for one in documents():
        row = batch([one])
        found, expected = ours(mine)(row), stock(theirs, use_cache=False)(row)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-6)
        for hidden in (found, expected):
            torch.autograd.backward(hidden.square().sum())
    for (name, weight), other in zip(mine.named_parameters(), theirs.parameters(), strict=True):
        if weight.grad is not None:
            distance = (weight.grad - other.grad).norm() / other.grad.norm()
            assert distance < 1e-5, name


def test_a_row_of_documents_is_attended_as_transformers_does_with_its_mask() -> None:
    config = tiny.config_of()
    row = batch(documents())
    expected = stock(model_of(config, "sdpa"), use_cache=False)(row)
    torch.testing.assert_close(ours(model_of(config, attention.register()))(row), expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_document_sees_another(family: str) -> None:
    states = ours(model_of(tiny.config_of(family), attention.register()))
    some = documents()
    for first in range(len(some)):
        assert leak(states, [*some[first:], *some[:first]]) == 0.0


def test_the_check_for_leaks_finds_one() -> None:
    """Stock attention with the cache left at its default builds no mask between documents in train mode."""
    model = model_of(tiny.config_of(), "sdpa")
    some = documents()[2:]
    assert leak(stock(model, use_cache=False), some) == 0.0
    assert leak(stock(model), some) > 0.1
    ones = torch.ones(1, sum(map(len, some)))
    assert leak(stock(model, use_cache=False, attention_mask=ones), some) > 0.1


def test_what_comes_later_in_a_document_changes_nothing_before_it() -> None:
    states = ours(model_of(tiny.config_of(), attention.register()))
    whole = document(60, 1)
    start = whole.cut(40)
    torch.testing.assert_close(states(batch([whole]))[:40], states(batch([start])), rtol=1e-5, atol=2e-6)


def test_a_mask_or_unknown_lengths_are_refused() -> None:
    model = model_of(tiny.config_of(), attention.register())
    row = batch(documents())
    with pytest.raises(ValueError, match="takes the documents' lengths and no mask"):
        stock(model, use_cache=False)(row)
    with pytest.raises(ValueError, match="takes the documents' lengths and no mask"):
        stock(model, lengths=row.lengths, attention_mask=torch.ones(1, 1, len(row.targets), len(row.targets)))(row)
    with pytest.raises(RuntimeError, match="split"):
        stock(model, use_cache=False, lengths=row.lengths[1:])(row)
