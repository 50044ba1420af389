"""PyAutoFit's nested slice sampler, planned where our own front end is not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from autofit_memplan import Plan

MIB = 2**20
LIMIT = 6 * MIB
PROGRAM = Path(__file__).with_name("pyautofit_plan.py")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    run = subprocess.run(
        [sys.executable, PROGRAM, str(LIMIT)],
        env={
            **os.environ,
            "PYTHONPATH": str(PROGRAM.parents[2]),
            "JAX_ENABLE_X64": "false",
            "AUTOFIT_MEMPLAN_CACHE": str(tmp_path_factory.mktemp("cache")),
        },
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.fixture(scope="module")
def plan(report):
    return Plan.model_validate(report["plan"])


def test_the_front_end_is_not_needed(report):
    assert report["front_end"] == []


def test_both_programs_fit_and_neither_would_with_a_wave_fewer(report, plan):
    assert plan.fits
    assert plan.budget.limit_bytes == LIMIT
    for program in plan.programs:
        assert 1 < program.chunk_size < program.n
        assert program.predicted_bytes <= LIMIT < report["above"][program.name]


def test_the_search_needs_few_compilations_wherever_it_begins(plan):
    assert plan.step.compiles <= 4


def test_the_certified_programs_give_the_right_values(report):
    grid = np.linspace(0.5, 1.5, 512)
    matrix = np.outer(grid, np.roll(grid, 3))
    x = np.array(report["positions"])
    median = np.sort(matrix, axis=0)[256].sum() * (1 + 0.01 * x.sum(axis=1))
    expected = -0.5 * (x**2).sum(axis=1) - 1e-6 * median
    np.testing.assert_allclose(report["init"], expected, rtol=1e-4)
    np.testing.assert_allclose(np.sort(report["replaced"]), np.sort(expected)[:10], rtol=1e-4)
    assert min(report["new"]) > max(report["replaced"])
