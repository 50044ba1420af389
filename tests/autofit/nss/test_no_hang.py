"""A dense linear-algebra likelihood on CPU never hangs: whole processes under a watchdog."""

import subprocess
import sys
from pathlib import Path

import pytest

from autofit_memplan.compiler import compiler_options


@pytest.mark.parametrize(
    "chunk_size, scheduler",
    [*[("16", "lanes")] * 10, *[("16", "map")] * 3, *[("None", "None")] * 3],
)
def test_a_dense_likelihood_finishes(chunk_size, scheduler):
    script = Path(__file__).with_name("dense_fit.py")
    run = subprocess.run(
        [sys.executable, str(script), chunk_size, scheduler, "2"],
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "iterations 2"


def test_the_protection_is_on():
    assert compiler_options("cpu") and not compiler_options("gpu")
