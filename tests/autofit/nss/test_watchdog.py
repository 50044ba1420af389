"""Device calls that really block, or really work, longer than expected."""

import logging
import threading
import time
from contextlib import contextmanager
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import cube

import autofit as af
from autofit.non_linear.search.nest.nss import _sampling
from autofit.non_linear.search.nest.nss._watchdog import Watchdog

logger = logging.getLogger("autofit.test")


@pytest.fixture
def reports(caplog):
    """The texts reported so far."""
    caplog.set_level(logging.WARNING, logger.name)
    return lambda: [record.getMessage() for record in caplog.records]


release = threading.Event()


def blocked_in_callback(x):
    """A stuck likelihood: it waits until the test lets it go."""
    release.wait(30)
    return np.asarray(x)


@jax.jit
def program(x):
    return jax.pure_callback(blocked_in_callback, jax.ShapeDtypeStruct((), x.dtype), x)


@contextmanager
def blocked(seconds):
    """A device call that blocks for so long, in a thread of its own, as on a GPU."""
    release.clear()
    call = threading.Thread(target=lambda: program(jnp.asarray(1.0)).block_until_ready())
    call.start()
    timer = threading.Timer(seconds, release.set)
    timer.start()
    yield call
    timer.join()
    call.join()


def wait(call):
    """As the loop waits for the device."""
    while call.is_alive():
        time.sleep(0.02)


def test_a_blocked_call_is_reported_once_a_doubling_with_where(reports):
    with (
        Watchdog(logger, "cpu", least_seconds=0.4) as watchdog,
        blocked(2.5) as call,
        watchdog.watch(0.01, "iterations 101 to 164, chunk 16"),
    ):
        wait(call)
    texts = reports()
    assert len(texts) in (2, 3)  # about 0.4, 0.8 and 1.6 s, later where the machine is busy
    elapsed = [float(text.split("has run for ")[1].split(" s")[0]) for text in texts]
    assert elapsed[0] >= 0.4
    assert all(after >= 1.99 * before for before, after in pairwise(elapsed))
    for text in texts:
        assert "where 0.01 s were expected: iterations 101 to 164, chunk 16." in text
        assert "Thread MainThread" in text and "in wait\n    time.sleep(0.02)" in text
        assert "in blocked_in_callback\n    release.wait(30)" in text
    assert "it waits, where a CPU should compute" in texts[-1]
    assert "XLA_FLAGS=--xla_cpu_enable_concurrency_optimized_scheduler=false" in texts[-1]


def test_a_call_that_blocks_the_main_thread_itself_is_reported(reports):
    """JAX runs programs with callbacks there on a CPU."""
    release.clear()
    timer = threading.Timer(0.7, release.set)
    with Watchdog(logger, "cpu", least_seconds=0.4) as watchdog, watchdog.watch(0.0, "init"):
        timer.start()
        program(jnp.asarray(1.0)).block_until_ready()
    timer.join()
    (text,) = reports()
    main = text.split("Thread MainThread")[1].split("Thread ")[0]
    assert "in blocked_in_callback" in main


def test_on_a_gpu_a_waiting_host_is_no_deadlock(reports):
    with (
        Watchdog(logger, "gpu", least_seconds=0.3) as watchdog,
        blocked(0.55) as call,
        watchdog.watch(0.0, "init"),
    ):
        wait(call)
    (text,) = reports()
    assert "nothing is known of what it should take: init." in text
    assert "waits for the device" in text and "XLA_FLAGS" not in text


def test_a_call_that_works_is_told_from_one_that_waits(reports):
    with Watchdog(logger, "cpu", least_seconds=0.5) as watchdog, watchdog.watch(0.05, "busy"):
        end = time.process_time() + 0.8
        while time.process_time() < end:
            pass
    text = reports()[0]
    assert "it works. Slow is not stuck" in text and "SIGKILL" not in text


def test_nothing_is_said_of_calls_that_take_what_they_should(reports):
    """Ten calls, together far longer than the threshold, and one as slow as it was expected."""
    with Watchdog(logger, "cpu", least_seconds=0.2) as watchdog:
        for _ in range(10):
            with watchdog.watch(0.0, "short"):
                time.sleep(0.04)
        with watchdog.watch(0.1, "long"):
            time.sleep(0.5)
        time.sleep(0.5)
    assert reports() == []


def test_the_thread_ends_with_the_block():
    with Watchdog(logger, "cpu"):
        assert "autofit-watchdog" in {thread.name for thread in threading.enumerate()}
    assert "autofit-watchdog" not in {thread.name for thread in threading.enumerate()}


def test_a_fit_whose_likelihood_waits_is_reported(monkeypatch, caplog):
    class Waiting(af.Analysis):
        def log_likelihood_function(self, instance):
            late = jax.pure_callback(
                lambda x: (time.sleep(0.02), np.asarray(x))[1],
                jax.ShapeDtypeStruct((), instance.x0.dtype),
                instance.x0,
                vmap_method="sequential",
            )
            return -50.0 * (late**2 + instance.x1**2)

    quick = partial(Watchdog, least_seconds=0.3, factor=1.0)
    monkeypatch.setattr(_sampling, "Watchdog", quick)
    search = af.NSS(n_live=10, num_delete=2, num_mcmc_steps=5, max_iterations=1, silence=True)
    search.fit(cube(2, 5.0), Waiting())
    assert "has run for" in caplog.text and "iterations 1 to 1, chunk 2" in caplog.text
