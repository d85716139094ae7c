"""`sususbot build`: archive to corpus, with samples shown in the colours of what is learned of them.

The rules are `corpus`'s own; here they are only called and told.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from sususbot.cli.main import Place
from sususbot.cli.output import bar, print_json, say

if TYPE_CHECKING:
    from sususbot.archive.archive import Archive
    from sususbot.corpus.build import Built
    from sususbot.corpus.manifest import Corpus
    from sususbot.corpus.recipe import Recipe
    from sususbot.corpus.samples import Sample
    from sususbot.settings import Settings

_DEFAULT: Final = "default"
# Weight from which a piece is shown so: learned in full, learned a little, only read.
_COLOURS: Final = ((0.5, {"fg": "green", "bold": True}), (1e-9, {"fg": "cyan"}), (0.0, {"dim": True}))


@click.command("build", epilog="Example:  sususbot build --show 3")
@click.argument("name", default=_DEFAULT)
@click.option("--persona", help="Whom the bot plays: server, or ids of members who agreed.  [default: PERSONA]")
@click.option("--show", default=0, type=click.IntRange(0), help="Print so many samples, what is learned in colour.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as one JSON object.")
@click.pass_obj
def build(place: Place, name: str, persona: str | None, show: int, as_json: bool) -> None:
    """Make a corpus of training samples: clean, consent, segment, split by time.

    NAME is its folder in corpora/. The same archive and settings give the same files, byte by byte.
    """
    from sususbot.artifacts import CORPORA, is_name
    from sususbot.cli.folder import load_settings, open_archive
    from sususbot.corpus.build import build as build_corpus
    from sususbot.corpus.tokens import token_counter

    if not is_name(name):
        raise click.UsageError(f"NAME is the name of a folder, not a path, and one that Windows can store, too: {name}")
    settings = load_settings(place)
    with open_archive(place, filled=True) as archive:
        recipe = _recipe(settings, archive, persona)
        total = archive.counts().messages - archive.counts().deleted
        with bar("building", total=total, quiet=as_json) as progress:
            built = build_corpus(
                archive,
                place.data / CORPORA / name,
                recipe,
                token_counter(),
                lambda done: progress.messages(done, total),
            )
    if as_json:
        from sususbot.training.permission import from_api

        print_json({**built.corpus.manifest, "from_api": from_api(built.corpus.origins)})
    else:
        click.echo("\n".join(_report(built)))
    _warn(built, settings)
    if show:
        for sample in _some(built.corpus, show):
            click.echo("\n".join(_shown(sample, built.corpus.persona)), err=as_json)


def _recipe(settings: "Settings", archive: "Archive", persona: str | None) -> "Recipe":
    from sususbot import env_file
    from sususbot.cli.build import persona_text
    from sususbot.corpus.clean import rules_without
    from sususbot.corpus.consent import persona as agreed_persona
    from sususbot.corpus.recipe import Recipe
    from sususbot.corpus.segment import Linking

    if persona:
        persona = env_file.checked({"persona": persona}).persona
    return Recipe(
        own_name=settings.bot_name,
        persona_text=persona_text(settings, archive),
        persona=agreed_persona(archive, persona or settings.persona),
        rules=rules_without(settings.clean_off),
        linking=Linking(run_ms=settings.run_seconds * 1000, silence_ms=settings.silence_minutes * 60_000),
        sample_tokens=settings.sample_tokens,
        others_weight=settings.others_weight,
        author_cap=settings.author_cap,
        valid_share=settings.valid_share,
    )


# -- what is said


def _report(built: "Built") -> Iterator[str]:
    manifest = built.corpus.manifest
    yield f"corpus {manifest['name']} in {built.corpus.folder}"
    yield f"  {manifest['archive']['messages']:>9,}  messages read"
    for name, count in manifest["rules"].items():
        if count["dropped"]:
            yield f"  {-count['dropped']:>9,}  {name}"
    for reason, count in built.left_out.items():
        if count:
            yield f"  {-count:>9,}  {_REASONS[reason]}"
    yield f"  {_kept(built):>9,}  messages in {sum(facts['samples'] for facts in manifest['files'].values()):,} samples"
    changed = {name: count["changed"] for name, count in manifest["rules"].items() if count["changed"]}
    yield "changed: " + (", ".join(f"{name} {count:,}" for name, count in changed.items()) or "nothing")
    for name, facts in manifest["files"].items():
        yield (
            f"{name}: {facts['samples']:,} samples, {facts['tokens']:,} tokens, "
            f"{facts['trained']:,.0f} of them learned (weight times tokens)"
        )
    if manifest["split_at"] is not None:
        moment = datetime.fromtimestamp(manifest["split_at"] / 1000, UTC)
        yield f"train ends and valid begins at {moment:%Y-%m-%d %H:%M} UTC"
    yield (
        f"{manifest['archive']['members_learned_from']:,} members are learned from; the one most is "
        f"{manifest['largest_share']:.1%} of it; tokens by {manifest['tokenizer']}"
    )


_REASONS: Final = {
    "consent": "of members who are not learned from",
    "unanswered": "that nobody answers",
    "repeated": "in conversations that come again",
    "across_split": "in conversations across the split",
}


def _kept(built: "Built") -> int:
    """Messages that are in samples."""
    dropped = sum(count.dropped for count in built.tally.rules.values())
    return built.tally.messages - dropped - sum(built.left_out.values())


def _warn(built: "Built", settings: "Settings") -> None:
    from sususbot.training.permission import objection

    off = sorted({"secrets", "personal"} & set(settings.clean_off))
    if off:
        say(f"careful: with CLEAN_OFF={','.join(off)} the bot may learn what is nobody's business")
    if "quotes" in settings.clean_off:
        say(
            "careful: with CLEAN_OFF=quotes the bot may learn lines of members who said no, where others quoted them "
            "without a reply or a mention"
        )
    against = objection(built.corpus.origins, confirmed=settings.training_permission_confirmed)
    if against is not None:
        say(f"before you train: {against}")
    if not built.corpus.manifest["files"]["valid.jsonl"]["samples"]:
        say("nothing was kept apart to measure on: there are too few conversations, or VALID_SHARE is 0")


# -- samples


def _some(corpus: "Corpus", wanted: int) -> list["Sample"]:
    """From all over the corpus, the same ones every time."""
    total = corpus.manifest["files"]["train.jsonl"]["samples"]
    wanted = min(wanted, total)
    places = {(2 * number + 1) * total // (2 * wanted) for number in range(wanted)}
    return [sample for place, sample in enumerate(corpus.train()) if place in places]


def _shown(sample: "Sample", persona: str) -> Iterator[str]:
    """Line by line with its weight, which a terminal also shows as colour."""
    facts = [f"{sample.tokens} tokens", f"{sample.trained:.0f} learned"]
    facts += ["begins in the middle"] * sample.cut + ["goes on"] * (not sample.ends)
    yield ""
    yield click.style(f"--- {sample.id}: {', '.join(facts)}", dim=True)
    (header, _), *pieces = sample.pieces(persona)
    yield click.style(f"       {header.strip()}", dim=True)
    for (name, _), (text, weight) in _pairs(pieces):
        yield f"{weight:>5.2f}  {click.style(name, dim=True)}{_coloured(text.rstrip(chr(10)), weight)}"


def _pairs(pieces: Sequence[tuple[str, float]]) -> Iterator[Any]:
    return zip(pieces[::2], pieces[1::2], strict=True)


def _coloured(text: str, weight: float) -> str:
    style: dict[str, Any] = next(style for least, style in _COLOURS if weight >= least)
    return click.style(text, **style)
