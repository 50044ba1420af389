"""What figures were measured on."""

import os
import re

import pytest

from benchmarks.machine import changed, machine_elsewhere, processor

HERE = {
    "platform": "cpu",
    "cores": 2,
    "memory_bytes": 25_276_502_016,
    "versions": {"jax": "0.10"},
    "command": "now",
}


@pytest.mark.parametrize(
    ("now", "names"),
    (
        ({"command": "later"}, []),
        ({"versions": {"jax": "0.10", "jaxns": "3"}}, []),
        ({"versions": {}}, []),
        ({"memory_bytes": 25_276_514_304}, []),
        ({"memory_bytes": 24_276_514_304}, ["memory_bytes"]),
        ({"memory_bytes": None}, ["memory_bytes"]),
        ({"cores": 64, "versions": {"jax": "0.11", "jaxns": "3"}}, ["cores", "jax"]),
    ),
)
def test_machines_are_compared_by_what_both_know(now, names):
    known = HERE | {"versions": {"jax": "0.10", "jaxns": None}}
    assert changed([known, HERE], HERE | now) == names


def test_a_machine_where_jax_does_not_start_is_an_error(monkeypatch):
    monkeypatch.setattr("benchmarks.machine.lines_from", lambda *_, **__: ([], "no such plugin"))
    with pytest.raises(RuntimeError, match="JAX does not start here: no such plugin"):
        machine_elsewhere()


def test_processors_of_one_name_are_told_apart():
    assert re.search(r"\d", processor()), "a number beside the maker's name"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux alone ties processes")
def test_cores_are_those_that_a_process_may_use():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert machine_elsewhere()["cores"] == 1
    finally:
        os.sched_setaffinity(0, allowed)
