"""What systems say to exchanges: by their own sampling, the same each time, cleaned as it would be sent."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.errors import BackendFailed
from sususbot.evaluation.ground import Ground, System
from sususbot.evaluation.replies import replies
from sususbot.memory.lines import RememberedLines
from sususbot.memory.long_term import LongTerm
from sususbot.model.backend import Sampling
from sususbot.model.llamacpp import LlamaCpp
from sususbot.model.recall import Recall
from sususbot.model.scripted import Scripted
from tests.evaluation.making import recall, system_of, unheard
from tests.support.tiny_gguf import write_model


def texts(ground: Ground, system: System) -> list[str]:
    return [one.text for one in replies(system, ground, unheard)]


def test_each_exchange_has_a_seed_of_its_own_which_is_the_same_in_each_run(ground: Ground) -> None:
    def seeds(of: Ground) -> list[str]:
        with system_of(of, Scripted(lambda request: f"seed {request.sampling.seed}")) as system:
            return texts(of, system)

    once = seeds(ground)
    assert len(set(once)) == len(ground.exchanges)
    assert seeds(ground) == once
    assert not set(seeds(replace(ground, seed=ground.seed + 1))) & set(once)


def test_a_real_engine_says_the_same_with_the_same_seed(ground: Ground, tmp_path: Path) -> None:
    few = replace(ground, exchanges=ground.exchanges[:6])
    model = write_model(tmp_path / "tiny.gguf")

    def said(of: Ground) -> list[str]:
        with closing(LlamaCpp(model, context_tokens=2048, threads=1)) as engine:
            with system_of(of, engine) as system:
                warm = replace(system, sampling=Sampling(temperature=1.5, top_k=0, top_p=1.0, max_new_tokens=12))
                return texts(of, warm)

    once = said(few)
    assert len(set(once)) > 1
    assert said(few) == once
    assert said(replace(few, seed=few.seed + 1)) != once


def test_a_reply_is_cleaned_as_it_would_be_sent(ground: Ground) -> None:
    with system_of(ground, Scripted(["susu: hello @everyone ⏎ Tom: who are you?"])) as system:
        said = replies(system, ground, unheard)
    assert all("Tom" not in one.text and "susu" not in one.text for one in said if "Tom" in one.context.speakers)
    assert all(one.text.startswith("hello") and "@everyone" not in one.text for one in said)
    assert [one.exchange for one in said] == list(ground.exchanges)


def test_what_a_reply_took_and_read_is_known(ground: Ground) -> None:
    heard: list[str] = []
    with system_of(ground, Scripted(["one two three"])) as system:
        said = replies(system, ground, heard.append)
    assert all(0 < one.first <= one.seconds for one in said)
    assert all(one.usage.completion == 3 and one.usage.prompt > 20 for one in said)
    assert heard[0] == f"0 of {len(said)}"


def test_an_engine_that_breaks_ends_it_with_its_sentence(ground: Ground) -> None:
    with system_of(ground, Scripted(["hm"], fail_at={4})) as system, pytest.raises(BackendFailed, match="request 4"):
        replies(system, ground, unheard)


def test_who_has_no_answer_says_nothing_and_that_breaks_nothing(ground: Ground, tmp_path: Path) -> None:
    with Archive(tmp_path) as empty, closing(LongTerm(empty, None, None)) as memory:
        with system_of(ground, Recall(RememberedLines(memory))) as system:
            assert set(texts(ground, system)) == {""}
    with system_of(ground, recall(ground)) as system:
        assert all(texts(ground, system))


def test_nothing_that_was_said_after_the_split_is_remembered(ground: Ground) -> None:
    split_at = ground.corpus.manifest["split_at"]
    with system_of(ground, Scripted(["hm"])) as system:
        said = replies(system, ground, unheard)
    remembered = [message for one in said for hit in one.context.memories for message in hit.around]
    assert remembered
    assert all(message.created_at < split_at for message in remembered)
    shown = [turn for one in said for turn in one.context.turns]
    assert all(turn.at < one.exchange.at for one in said for turn in one.context.turns)
    assert any(turn.at >= split_at for turn in shown)
