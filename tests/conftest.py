"""Shared fixtures."""

import os

from tests.memory.conftest import minilm as minilm
from tests.standin.conftest import place as place
from tests.standin.conftest import rest as rest
from tests.standin.conftest import server as server
from tests.standin.conftest import validator as validator

# Suites run side by side: threads of one product of matrices that wait for each other take the cores from all others.
# Read once, when torch is loaded, here and in the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
