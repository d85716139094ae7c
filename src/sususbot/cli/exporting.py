"""`sususbot export`: what was trained, in the formats that engines read.

The files are made by `training/gguf_adapter`, `gguf_base` and `merge`; here is which of them a run needs.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from sususbot.cli.main import Place
from sususbot.cli.output import bar, print_json, say

if TYPE_CHECKING:
    from sususbot.training.weights import Exported

_ADAPTER_CONFIG: Final = "adapter_config.json"
_MODEL_CONFIG: Final = "config.json"
_QUANTS: Final = {"f16": "F16", "q8_0": "Q8_0"}


class _Trained(NamedTuple):
    """A folder of peft's or transformers', and the run it is of, if it is of one."""

    folder: Path
    is_base: bool
    run: Path | None
    manifest: dict[str, Any]

    def beside(self, name: str) -> Path:
        return (self.run or self.folder) / name


@click.command("export", epilog="Example:  sususbot export winter")
@click.argument("run", metavar="[RUN]", required=False)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False),
    help="The GGUF file.  [default: adapter.gguf or model.gguf in the run's folder]",
)  # fmt: skip
@click.option(
    "--quant", type=click.Choice(list(_QUANTS)),
    help="Of a base: numbers in 16 bits, or in 8 (half the size).  [default: f16]",
)  # fmt: skip
@click.option(
    "--merge", "merged", is_flag=False, flag_value="", metavar="[FOLDER]",
    help="Add an adapter to its base, as a folder for vLLM and others.  [default: merged in the run's folder]",
)  # fmt: skip
@click.option("--base", help="An adapter's base, where it moved: hub name, folder, or a run.  [default: as trained]")
@click.option(
    "--allow-stale", is_flag=True, help="Even if it learned from members who may not be learned from any more."
)
@click.option("--json", "as_json", is_flag=True, help="Print what was written as one JSON object.")
@click.pass_obj
def export(
    place: Place,
    run: str | None,
    out: Path | None,
    quant: str | None,
    merged: str | None,
    base: str | None,
    allow_stale: bool,
    as_json: bool,
) -> None:
    """Write an adapter or a small base as GGUF, for llama.cpp.

    RUN is a run's name (the newest finished one without it), or a folder of peft's or of a base.
    """
    from sususbot.errors import MissingExtra

    trained = _find(place, run)
    if trained.is_base and (merged is not None or base is not None):
        raise click.UsageError("--merge and --base are for adapters, and this is a base")
    if not trained.is_base and quant is not None:
        raise click.UsageError(
            "--quant is for bases, and this is an adapter: it is laid over a base of any quantisation"
        )
    if merged is not None and out is not None:
        raise click.UsageError("--out is for a GGUF file: give the folder after --merge")
    _check_stale(place, trained, allow_stale=allow_stale)
    with bar("exporting", quiet=as_json) as progress:

        def told(done: int, total: int) -> None:
            progress.update(done, total, f"{done:,} of {total:,} tensors")

        try:
            if trained.is_base:
                written = _base_file(trained, out, quant or "f16", told)
            elif merged is not None:
                written = _merged(place, trained, base, Path(merged) if merged else None, told)
            else:
                written = _adapter_file(place, trained, base, out)
        except ImportError as error:
            raise MissingExtra("exporting", "train") from error
    _report(place, trained, written, as_json=as_json)


# -- what is exported


def _find(place: Place, given: str | None) -> _Trained:
    """The run or folder of that name. Raises RunMissing."""
    from sususbot.artifacts import RUNS
    from sususbot.errors import RunMissing

    if given is None:
        return _newest(place)
    folder = place.data / RUNS / given
    if Path(given).name == given and folder.is_dir():
        return _of_run(folder)
    folder = Path(given).expanduser()
    if (folder / _ADAPTER_CONFIG).is_file() or (folder / _MODEL_CONFIG).is_file():
        return _of_folder(place, folder)
    raise RunMissing(
        f"{given} is neither a run in {place.data / RUNS} nor a folder with an {_ADAPTER_CONFIG} or a {_MODEL_CONFIG}: "
        "correct it, or leave it away for the newest run"
    )


def _newest(place: Place) -> _Trained:
    from sususbot.artifacts import MANIFEST, RUNS
    from sususbot.errors import RunMissing

    finished = [
        (manifest.get("changed", ""), path.parent)
        for path in sorted((place.data / RUNS).glob(f"*/{MANIFEST}"))
        if (manifest := _manifest(path.parent)).get("state") == "finished"
    ]
    if not finished:
        raise RunMissing(
            f"there is no finished run in {place.data / RUNS}: run  sususbot train  first, or name a folder"
        )
    _, folder = max(finished)
    say(f"the newest finished run is {folder.name}")
    return _of_run(folder)


def _of_run(run: Path) -> _Trained:
    from sususbot.errors import RunMissing

    manifest = _manifest(run)
    is_base = manifest.get("kind") == "base"
    folder = run / ("model" if is_base else "adapter")
    if not (folder / (_MODEL_CONFIG if is_base else _ADAPTER_CONFIG)).is_file():
        raise RunMissing(f"the run {run.name} has nothing to export yet: go on with  sususbot train --resume")
    if manifest.get("state") != "finished":
        say(f"the run {run.name} is not finished: this is the best of it so far")
    return _Trained(folder, is_base, run, manifest)


def _of_folder(place: Place, folder: Path) -> _Trained:
    """A folder by its path; one inside of a run is that run's."""
    from sususbot.training.runs import run_of

    run = run_of(folder, place.data)
    manifest = _manifest(run.folder) if run is not None else {}
    return _Trained(folder, not (folder / _ADAPTER_CONFIG).is_file(), None, manifest)


def _manifest(run: Path) -> dict[str, Any]:
    import orjson

    from sususbot.artifacts import MANIFEST

    try:
        return dict(orjson.loads((run / MANIFEST).read_bytes()))
    except (OSError, ValueError, TypeError):
        return {}


def _check_stale(place: Place, trained: _Trained, *, allow_stale: bool) -> None:
    from sususbot.cli.folder import open_archive
    from sususbot.errors import AdapterStale
    from sususbot.training import runs

    run = runs.run_of(trained.folder, place.data)
    if run is None:
        return
    with open_archive(place) as archive:
        complaint = runs.complaint(run, archive.consents)
    if complaint is None:
        return
    if not allow_stale:
        raise AdapterStale(complaint)
    say(f"exported all the same: {complaint.split(':')[0]}")


# -- how


def _base_file(trained: _Trained, out: Path | None, quant: str, told: Callable[[int, int], None]) -> "Exported":
    from sususbot.training.gguf_base import base_to_gguf

    kind: Any = _QUANTS[quant]
    return base_to_gguf(trained.folder, out or trained.beside("model.gguf"), kind, told)


def _adapter_file(place: Place, trained: _Trained, base: str | None, out: Path | None) -> "Exported":
    from sususbot.training.gguf_adapter import adapter_to_gguf

    return adapter_to_gguf(trained.folder, out or trained.beside("adapter.gguf"), _base_of(place, trained, base))


def run_to_gguf(place: Place, run: str) -> Path:
    """A run's adapter beside it, where MODEL_PATH's engine reads it. Raises RunMissing, AdapterUnfit, ExportFailed."""
    return _adapter_file(place, _find(place, run), None, None).path


def _merged(
    place: Place, trained: _Trained, base: str | None, folder: Path | None, told: Callable[[int, int], None]
) -> "Exported":
    from sususbot.training.base import find_base
    from sususbot.training.lora import read_adapter
    from sususbot.training.merge import merge

    found = _base_of(place, trained, base) or read_adapter(trained.folder).named_base()
    whole = find_base(str(found), download=False).folder
    return merge(whole, trained.folder, folder or trained.beside("merged"), told)


def _base_of(place: Place, trained: _Trained, given: str | None) -> str | Path | None:
    """An adapter's base: as given, else as its run says; None leaves it to the adapter. Raises AdapterUnfit."""
    from sususbot.artifacts import RUNS
    from sususbot.errors import AdapterUnfit

    known = trained.manifest.get("base") or {}
    base: str | Path | None = given or known.get("name")
    if given is not None and Path(given).name == given and (place.data / RUNS / given / "model").is_dir():
        base = place.data / RUNS / given / "model"
    elif given is None and known.get("folder") and (Path(known["folder"]) / _MODEL_CONFIG).is_file():
        base = Path(known["folder"])
    if base is None or not (Path(base) / _MODEL_CONFIG).is_file() or "fingerprint" not in known:
        return base
    from sususbot.training.base import fingerprint

    if fingerprint(Path(base)) != known["fingerprint"]:
        raise AdapterUnfit(
            f"the adapter in {trained.folder} was trained on another base than what is in {base} now (once "
            f"{known.get('name')}): give the right one with --base, or train anew"
        )
    return Path(base)


# -- what is said


def _report(place: Place, trained: _Trained, written: "Exported", *, as_json: bool) -> None:
    from sususbot.training.runs import run_of

    if as_json:
        print_json({**written._asdict(), "path": str(written.path)})
    else:
        what = {"lora": "adapter", "base": "base", "merged": "base with the adapter in it"}[written.kind]
        click.echo(f"{what} in {written.path}: {written.tensors:,} tensors, {written.bytes / 1e6:,.1f} MB")
    if run_of(trained.folder, place.data) is not None and run_of(written.path, place.data) is None:
        say(f"careful: {written.path} is outside of {place.data}, where no  sususbot forget  will find it")
    say(f"next:  {_next(trained, written)}")


def _next(trained: _Trained, written: "Exported") -> str:
    if written.kind == "base":
        return f"set MODEL_PATH={written.path}"
    if written.kind == "merged":
        return f"serve it, e.g.  vllm serve {written.path}  and set BACKEND=openai"
    base = (trained.manifest.get("base") or {}).get("name", "its base")
    return f"set ADAPTER_PATH={written.path}  (and MODEL_PATH to {base} as a GGUF file:  sususbot models  lists some)"
