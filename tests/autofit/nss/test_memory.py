"""Predicted against measured memory, in a fresh process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

GIB = 2**30


@pytest.fixture(scope="module")
def measured():
    script = Path(__file__).with_name("big_init.py")
    run = subprocess.run(
        [sys.executable, str(script), "6 GiB"], capture_output=True, text=True, timeout=400
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_unchunked_init_would_need_27_gigabytes(measured):
    unchunked = measured["init"]["unchunked"]
    assert unchunked["predicted_bytes"] > 27e9 and not unchunked["fits"]


def test_a_lane_of_the_step_holds_one_call(measured):
    """Upstream's step holds 1.84 to 2 calls for each particle."""
    step = measured["step"]
    assert step["footprint"]["temp_bytes"] <= 1.06 * step["chunk_size"] * measured["call_bytes"]


def test_the_same_init_runs_within_the_limit(measured):
    assert measured["init"]["chunk_size"] * measured["init"]["waves"] >= 150
    assert measured["init"]["chunk_size"] > 20
    assert measured["peak"] - measured["before"] <= 6 * GIB
    assert len(set(measured["log_likelihoods"])) == 150


def test_the_prediction_is_the_measured_peak(measured):
    grown = measured["peak"] - measured["planned"]
    assert measured["init"]["predicted_bytes"] == pytest.approx(grown, rel=0.1)
    assert measured["step"]["predicted_bytes"] <= 6 * GIB
