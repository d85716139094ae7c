"""The scripts of tools/, as modules: they are no package, since nothing of the program imports them."""

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]


@cache
def tool(name: str, root: Path = ROOT) -> ModuleType:
    """The script of this checkout, or of a copy elsewhere."""
    spec = importlib.util.spec_from_file_location(f"tools_{name}", root / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
