"""`sususbot dump`: the archive as lines of JSON.

What a line holds is `sources/dump_lines`; here it becomes a file that is there when it is whole.
"""

import gzip
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import click

from sususbot.cli.main import Place
from sususbot.cli.output import say
from sususbot.in_place import put


@click.command(epilog="Example:  sususbot dump backup.jsonl.gz")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.pass_obj
def dump(place: Place, file: Path) -> None:
    """Write the whole archive to FILE, one JSON object a line;  sususbot import  reads it back.

    A name that ends in .gz is compressed; - is the standard output. An old file is replaced when the new one is whole.
    """
    from sususbot.cli.folder import open_archive
    from sususbot.sources.dump_lines import dump_lines

    with open_archive(place, filled=True) as archive, _written(file) as out:
        count = 0
        for line in dump_lines(archive):
            out.write(line)
            count += 1
    if str(file) != "-":
        say(f"{count:,} lines in {file}")


@contextmanager
def _written(file: Path) -> Iterator[IO[bytes]]:
    """A file that is there when it is whole, and not before. Raises DumpFailed."""
    from sususbot.errors import DumpFailed

    if str(file) == "-":
        try:
            yield sys.stdout.buffer
            sys.stdout.flush()
        except BrokenPipeError:
            # Who read the other end has enough; Python would complain once more when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        return
    aside = file.with_name(f".{file.name}.part")
    try:
        with aside.open("wb") as out:
            if file.suffix == ".gz":
                # No name and no time in it: the same archive gives the same bytes.
                with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=out, mtime=0) as packed:
                    yield packed  # type: ignore[misc]  # a file of bytes, though its class is another
            else:
                yield out
            out.flush()
            os.fsync(out.fileno())
        put(aside, file)
    except OSError as error:
        raise DumpFailed(f"{file} cannot be written ({error.strerror or error}): choose another place") from error
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
