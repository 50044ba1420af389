"""What `import autofit` refuses and what it switches on, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PRECISION = "import autofit, jax.numpy as jnp; print(jnp.zeros(1).dtype)"


def python(code, *paths, **variables):
    inherited = {name: value for name, value in os.environ.items() if name != "JAX_ENABLE_X64"}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**inherited, "PYTHONPATH": os.pathsep.join(map(str, (*paths, ROOT))), **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_it_refuses_to_stand_beside_pyautofit(tmp_path):
    installed = tmp_path / "autofit-2026.1.2.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: autofit\nVersion: 2026.1.2\n")
    run = python("import autofit", tmp_path)
    assert run.returncode == 1
    message = run.stderr.splitlines()[-1]
    assert message.startswith("ImportError: autofit-nss and PyAutoFit 2026.1.2 are installed")
    assert "pip uninstall autofit-nss" in message and "pip install autofit-memplan" in message
    assert "fresh virtual environment" in message
    assert python("import autofit_memplan", tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("variables", "dtype"),
    [
        ({}, "float64"),
        ({"JAX_ENABLE_X64": "1"}, "float64"),
        ({"JAX_ENABLE_X64": "0"}, "float32"),
    ],
    ids=["unset", "on", "off"],
)
def test_precision_is_double_unless_the_environment_says_otherwise(variables, dtype):
    run = python(PRECISION, **variables)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == dtype
