"""Shared fixtures."""

from tests.memory.conftest import minilm as minilm
from tests.standin.conftest import place as place
from tests.standin.conftest import rest as rest
from tests.standin.conftest import server as server
from tests.standin.conftest import validator as validator
