"""`python -m sususbot`, also by a Python that is too old for all the rest: nothing newer than 3.6 stands here."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(
        "sususbot: this is Python {}.{}, and sususbot needs 3.11 or newer: install one from https://www.python.org, or "
        "use the one of the set-up,  .venv/bin/python -m sususbot".format(*sys.version_info[:2])
    )

try:
    from sususbot.cli.main import main
except ModuleNotFoundError as error:
    sys.exit(
        f"sususbot: this Python lacks the package {error.name}: use the one of the set-up,  .venv/bin/python -m "
        "sususbot  (Windows: .venv\\Scripts\\python), or run  pip install -e .  with this one"
    )

main()
