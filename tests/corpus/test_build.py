"""The whole path on a real archive: what goes in, what stays out, and that it is the same every time."""

import hashlib
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import orjson
import pytest

from sususbot.archive.archive import Archive
from sususbot.corpus.build import Built, build
from sususbot.corpus.clean import rules_without
from sususbot.corpus.consent import persona
from sususbot.corpus.recipe import Recipe
from sususbot.corpus.samples import Sample
from sususbot.corpus.tokens import Estimate
from sususbot.errors import CorpusEmpty, SettingsError
from sususbot.messages import Author, Message
from tests.corpus.talk import (
    ANA,
    GARDEN,
    HOUR,
    KITCHEN,
    LEO,
    MIA,
    MINUTE,
    NOON,
    RECIPE,
    SUSU,
    TOM,
    archive_of,
    message,
    small_talk,
    talk,
)
from tests.support.consents import agree, refuse


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Built]:
    """Build a corpus of messages."""
    numbers = iter(range(99))

    def make_(
        said: list[Message], recipe: Recipe = RECIPE, *, consents: Callable[[Archive], None] = lambda _: None
    ) -> Built:
        folder = tmp_path / str(next(numbers))
        with archive_of(folder, said) as archive:
            consents(archive)
            return build(archive, folder / "corpora" / "default", recipe, Estimate())

    return make_


def all_samples(built: Built) -> list[Sample]:
    return [*built.corpus.train(), *built.corpus.valid()]


def words_of(built: Built) -> str:
    return "".join(path.read_text("utf-8") for path in built.corpus.folder.iterdir())


def test_every_line_of_a_sample_is_of_one_channel_in_time_and_names_its_speaker(make: Callable[..., Built]) -> None:
    said = {one.id: one for one in small_talk()}
    samples = all_samples(make(list(said.values())))
    assert len(samples) == 40
    for sample in samples:
        lines = [said[id_] for turn in sample.turns for id_ in turn.message_ids]
        assert {line.channel_id for line in lines} == {sample.channel_id}
        assert lines == sorted(lines, key=lambda line: line.created_at)
        gaps = [after.created_at - before.created_at for before, after in pairwise(lines)]
        assert max(gaps) <= 30 * MINUTE
        assert all(turn.speaker for turn in sample.turns)
        # What is said is not in its own context.
        assert len({line.id for line in lines}) == len(lines)


def test_each_message_is_learned_once_and_all_of_train_is_before_all_of_valid(make: Callable[..., Built]) -> None:
    built = make(small_talk())
    learned = Counter(
        id_ for one in all_samples(built) for turn in one.turns if turn.weight for id_ in turn.message_ids
    )
    assert set(learned.values()) == {1}
    last = max(turn.at for sample in built.corpus.train() for turn in sample.turns)
    first = min(turn.at for sample in built.corpus.valid() for turn in sample.turns)
    assert last < built.corpus.manifest["split_at"] <= first
    facts = built.corpus.manifest["files"]
    assert (
        0.1 < facts["valid.jsonl"]["tokens"] / (facts["train.jsonl"]["tokens"] + facts["valid.jsonl"]["tokens"]) < 0.3
    )


def test_the_share_of_one_member_with_most_of_the_lines_falls_to_the_cap(make: Callable[..., Built]) -> None:
    """Measured on the samples themselves: weight times tokens over all lines."""

    def largest(cap: float) -> tuple[float, float]:
        built = make(small_talk(), replace(RECIPE, author_cap=cap, valid_share=0.0))
        mass: Counter[int] = Counter()
        for sample in built.corpus.train():
            for turn in sample.turns:
                mass[turn.author_id] += turn.weight * turn.tokens  # type: ignore[assignment]
        assert built.corpus.authors == pytest.approx(mass, rel=1e-2)
        return max(mass.values()) / sum(mass.values()), built.corpus.manifest["largest_share"]

    measured, said = largest(1.0)
    assert measured > 0.5
    measured, said = largest(0.3)
    assert measured == pytest.approx(0.3, abs=0.002)
    assert said == pytest.approx(0.3, abs=0.002)


def test_everybody_is_played_and_under_the_bots_name(make: Callable[..., Built]) -> None:
    samples = all_samples(make(small_talk()))
    assert {sample.played for sample in samples} == {MIA.id, TOM.id, ANA.id, LEO.id}
    for sample in samples:
        assert {turn.speaker for turn in sample.turns if turn.own} == {"susu"}
        assert {turn.author_id for turn in sample.turns if turn.own} == {sample.played}
        assert all(turn.weight < 1 for turn in sample.turns if not turn.own)


def test_who_refused_is_left_out_altogether(make: Callable[..., Built]) -> None:
    hers = talk((TOM, "where is the key?"), (MIA, "ask @Leo the secretkeeper"), (TOM, "ok"), start=200 * HOUR)
    mention = [replace(one, mentions=(LEO.id,)) if "@Leo" in one.rendered else one for one in hers]
    built = make([*small_talk(), *mention], consents=lambda archive: refuse(archive, LEO))
    found = {turn.author_id for sample in all_samples(built) for turn in sample.turns}
    assert found == {MIA.id, TOM.id, ANA.id}
    assert "Leo" not in words_of(built)
    assert "ask @someone the secretkeeper" in words_of(built)
    assert LEO.id not in built.corpus.authors
    assert built.left_out["consent"] == sum(one.author.id == LEO.id for one in small_talk())


def test_lines_of_who_refused_are_not_learned_from_others_quotes_either(make: Callable[..., Built]) -> None:
    """Where quotes are learned at all: with the rule, no quote is."""
    quoting = talk(
        (LEO, "the secret is marzipan"), (TOM, "> the secret is marzipan\nwell kept"), (MIA, "ok"), start=200 * HOUR
    )
    quoting[1] = replace(quoting[1], reply_to=quoting[0].id)
    open_ = replace(RECIPE, rules=rules_without(["quotes"]))
    assert "> the secret is marzipan" in words_of(make([*small_talk(), *quoting], open_))
    built = make(
        [*small_talk(), *quoting],
        open_,
        consents=lambda archive: archive.consents.say(LEO.id, by="member", way="dm", at=1, learn=False),
    )
    assert "well kept" in words_of(built)
    assert "marzipan" not in words_of(built)


def test_opt_in_learns_only_from_those_who_said_yes(make: Callable[..., Built]) -> None:
    def opt_in(archive: Archive) -> None:
        archive.consents.set_mode("opt-in")
        agree(archive, MIA, TOM)

    built = make(small_talk(), consents=opt_in)
    assert set(built.corpus.authors) == {MIA.id, TOM.id}
    with pytest.raises(CorpusEmpty, match="nobody has agreed"):
        make(small_talk(), consents=lambda archive: archive.consents.set_mode("opt-in"))


def test_channels_outside_the_audience_are_not_read(tmp_path: Path) -> None:
    apart = talk((MIA, "the secret is marzipan"), (TOM, "marzipan, then"), channel=GARDEN)
    with archive_of(tmp_path, [*small_talk(), *apart]) as archive:
        heard = replace(RECIPE, audience=frozenset({KITCHEN.id}))
        built = build(archive, tmp_path / "corpora" / "open", heard, Estimate())
        everything = build(archive, tmp_path / "corpora" / "all", RECIPE, Estimate())
    assert "marzipan" not in words_of(built)
    assert built.corpus.manifest["recipe"]["audience"] == [KITCHEN.id]
    assert "marzipan" in words_of(everything)


def test_the_bots_lines_are_never_learned_nor_its_answers_joined(make: Callable[..., Built]) -> None:
    said = [
        *small_talk(),
        *talk((TOM, "@Susu sing!"), (SUSU, "la la la"), (MIA, "bravo"), start=300 * HOUR),
    ]
    said = [replace(one, mentions=(SUSU.id,)) if "@Susu" in one.rendered else one for one in said]
    built = make(said)
    assert "la la la" not in words_of(built)
    assert SUSU.id not in built.corpus.authors


def test_a_persona_must_have_agreed_and_alone_is_played(tmp_path: Path) -> None:
    with archive_of(tmp_path, small_talk()) as archive:
        assert persona(archive, "server") is None
        with pytest.raises(SettingsError, match="3 has not agreed"):
            persona(archive, "3")
        agree(archive, ANA)
        chosen = persona(archive, f" {ANA.id}, ")
        built = build(archive, tmp_path / "corpora" / "ana", replace(RECIPE, persona=chosen), Estimate())
        refuse(archive, ANA)
        with pytest.raises(SettingsError, match="3 has not agreed"):
            persona(archive, "3")
    samples = all_samples(built)
    assert {sample.played for sample in samples} == {ANA.id}
    assert len(samples) == 13
    assert built.corpus.manifest["recipe"]["persona"] == [ANA.id]


def test_every_message_is_accounted_for(make: Callable[..., Built]) -> None:
    alone = message(500 * HOUR, LEO, "anybody?")
    again = [replace(one, id=one.id + 400 * HOUR, created_at=one.created_at + 400 * HOUR) for one in small_talk(1)]
    built = make([*small_talk(), alone, *again, message(600 * HOUR, SUSU, "beep")])
    dropped = sum(count.dropped for count in built.tally.rules.values())
    inside = {id_ for sample in all_samples(built) for turn in sample.turns for id_ in turn.message_ids}
    assert built.tally.messages == len(inside) + dropped + sum(built.left_out.values())
    assert built.left_out["unanswered"] == 1
    assert built.left_out["repeated"] == 5
    assert built.tally.rules["bots"].dropped == 1


def test_what_was_edited_or_deleted_on_discord_is_so_in_the_next_corpus(tmp_path: Path) -> None:
    said = small_talk()
    with archive_of(tmp_path, said) as archive:
        build(archive, tmp_path / "corpora" / "c", RECIPE, Estimate())
        archive.delete([said[2].id], at=NOON)
        edited = replace(said[7], rendered="changed my mind", content="changed my mind", edited_at=NOON + HOUR * 999)
        archive.add([edited], source=archive.add_source("gateway", "live"), fetched_at=NOON + HOUR * 999)
        built = build(archive, tmp_path / "corpora" / "c", RECIPE, Estimate())
    words = words_of(built)
    assert said[2].rendered not in words
    assert said[7].rendered not in words
    assert "changed my mind" in words


def test_the_same_archive_gives_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    with archive_of(tmp_path, small_talk()) as archive:
        refuse(archive, LEO)
    hashes = []
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-m", "sususbot", "--data", str(tmp_path), "build", f"run{seed}"],
            env={"PYTHONHASHSEED": seed, "PATH": "", "VALID_SHARE": "0.2"},
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr
        folder = tmp_path / "corpora" / f"run{seed}"
        hashes.append({
            path.name: hashlib.sha256(path.read_bytes().replace(f"run{seed}".encode(), b"")).hexdigest()
            for path in folder.iterdir()
        })  # fmt: skip
    assert hashes[0] == hashes[1]
    assert len(hashes[0]) == 3


def test_other_words_or_other_settings_show_in_the_manifest(make: Callable[..., Built]) -> None:
    said = small_talk()
    one, same = make(said).corpus.manifest, make(said).corpus.manifest
    other = make([*said[:-1], replace(said[-1], rendered="else", content="else")]).corpus.manifest
    quieter = make(said, replace(RECIPE, others_weight=0.2)).corpus.manifest
    assert one == same
    assert one["archive"]["content"] != other["archive"]["content"]
    assert one["recipe"] != quieter["recipe"]
    assert one["archive"]["origins"] == {"package": len(said)}


def test_a_member_of_the_bots_name_is_called_otherwise(make: Callable[..., Built]) -> None:
    namesake = Author(77, "the_real_susu", "Susu")
    said = [replace(one, author=namesake) if one.author.id == TOM.id else one for one in small_talk()]
    for sample in all_samples(make(said)):
        assert all((turn.speaker == "susu") is turn.own for turn in sample.turns)


def test_a_manifest_is_readable(make: Callable[..., Built]) -> None:
    built = make(small_talk())
    text = (built.corpus.folder / "manifest.json").read_bytes()
    assert orjson.loads(text)["tokenizer"] == "estimate"
    assert b'\n  "authors": {' in text
