"""What fits write, somewhere else."""

from pathlib import Path

import pytest


@pytest.fixture
def output(tmp_path, monkeypatch) -> Path:
    """The folder of all output of a test."""
    monkeypatch.setenv("PYAUTOFIT_OUTPUT", str(tmp_path))
    return tmp_path
