"""The archive fixture of the archive's own tests."""

from tests.archive.conftest import archive as archive
