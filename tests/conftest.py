"""Tests run on the CPU, in the precision that `autofit` asks for, with plan caches of their own.

Compiled programs are shared by all tests of a worker, and by the processes that they start.
"""

import atexit
import os
import signal
import tempfile

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Before JAX is imported; nothing is kept from one session for the next.
_COMPILED = tempfile.TemporaryDirectory(prefix="compiled-programs-")
atexit.register(_COMPILED.cleanup)
# Not by `setdefault`: workers of pytest-xdist inherit the environment, and JAX does not lock files.
os.environ["JAX_COMPILATION_CACHE_DIR"] = _COMPILED.name
os.environ.setdefault("JAX_ENABLE_COMPILATION_CACHE", "true")  # asked for: `fresh_process` has none
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")

# A shell ignores it for what it starts in the background, and so would what tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

_CACHE = "AUTOFIT_MEMPLAN_CACHE"


@pytest.fixture(scope="session", autouse=True)
def session_plan_cache(tmp_path_factory):
    """For fixtures that live longer than one test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(_CACHE, str(tmp_path_factory.mktemp("plan-cache")))
        yield


@pytest.fixture(autouse=True)
def plan_cache(tmp_path_factory, monkeypatch):
    """The folder of this test's plan cache; empty, and unknown to all other tests."""
    folder = tmp_path_factory.mktemp("plan-cache")
    monkeypatch.setenv(_CACHE, str(folder))
    return folder
