"""The examples as a reader runs them: the right evidence, and no batch beyond the plan's chunk."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy.stats import multivariate_normal

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
PEERS = ["nautilus", "dynesty", "blackjax_smc", "numpyro"]

CALLS = re.compile(r"(\d+) calls, (\d+) at once: (\d+) bytes")
EVIDENCE = re.compile(r"log Z = (\S+) \+- (\S+), analytic (\S+)")


@pytest.fixture
def problem():
    """The examples' problem, in the double precision that it asks for."""
    was_double = jax.config.jax_enable_x64
    spec = importlib.util.spec_from_file_location("docs_problem", EXAMPLES / "problem.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    jax.config.update("jax_enable_x64", was_double)


@pytest.mark.parametrize("peer", PEERS)
def test_the_evidence_is_right_and_batches_have_the_plan_s_size(peer, tmp_path):
    pytest.importorskip(peer.split("_")[0])
    run = subprocess.run(
        [sys.executable, Path(__file__).with_name("watched.py"), EXAMPLES / f"with_{peer}.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "AUTOFIT_MEMPLAN_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert run.returncode == 0, run.stderr
    calls, evidence, widths = run.stdout.splitlines()
    n, chunk, _ = map(int, CALLS.fullmatch(calls).groups())
    assert 1 < chunk < n
    # Single calls come from starting points; there is no remainder of another width.
    assert {chunk} <= {int(width) for width in json.loads(widths)} <= {1, chunk}
    log_z, error, analytic = map(float, EVIDENCE.fullmatch(evidence).groups())
    assert 0 < error < 0.25
    assert abs(log_z - analytic) < 3 * error


def test_every_example_is_run():
    found = {path.stem.removeprefix("with_") for path in EXAMPLES.glob("with_*.py")}
    assert found == set(PEERS)


def test_the_analytic_evidence_is_that_of_the_likelihood(problem):
    """The likelihood is Gaussian: its Hessian and one Newton step tell its integral."""
    start = np.array([0.1, 0.2, -0.3, 0.4])
    hessian = np.asarray(jax.hessian(problem.log_likelihood)(start))
    peak = start - np.linalg.solve(hessian, np.asarray(jax.grad(problem.log_likelihood)(start)))
    posterior = multivariate_normal(peak, np.linalg.inv(-hessian))
    corner = np.full(problem.N_DIM, problem.HALF_WIDTH)
    assert posterior.cdf(corner, lower_limit=-corner) > 1 - 1e-5
    integral = float(problem.log_likelihood(peak)) - posterior.logpdf(peak)
    volume = problem.N_DIM * np.log(2 * problem.HALF_WIDTH)
    assert problem.log_evidence() == pytest.approx(integral - volume, abs=1e-8)
