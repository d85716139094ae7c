"""A run's folder: one training in it at a time."""

from pathlib import Path

import pytest

from sususbot.errors import RunExists
from sususbot.training.run_folder import alone


def test_two_do_not_train_into_one_folder(tmp_path: Path) -> None:
    with alone(tmp_path / "run"):
        with pytest.raises(RunExists, match="another program is training into run right now"):
            with alone(tmp_path / "run"):
                pass
        with alone(tmp_path / "other"):
            pass
    with alone(tmp_path / "run"):
        pass
