"""Saving and going on: the same bits, at a cost that does not grow, whatever the disk does."""

import errno
import os
import time
import tracemalloc

import jax
import numpy as np
import pytest
from problems import CorrelatedGaussian, cube
from saved_runs import MODEL, advance, bits, checkpoint, fresh_run

import autofit as af
from autofit.non_linear.errors import OptionError
from autofit.non_linear.fitness import Fitness
from autofit.non_linear.paths import DirectoryPaths
from autofit.non_linear.search.nest.nss import _segments
from autofit.non_linear.search.nest.nss._intervals import Intervals
from autofit.non_linear.search.nest.nss._output import RunOutput

SMALL = {"n_live": 60, "num_delete": 20, "num_mcmc_steps": 10, "silence": True}


pytestmark = pytest.mark.usefixtures("output")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_fit_in_pieces_gives_the_bits_of_one_that_ran_through(dtype, output, monkeypatch):
    """With another chunk, scheduler and memory limit, and segments of 20 points or so."""
    monkeypatch.setattr(_segments, "_SEGMENT_BYTES", 1300)
    with jax.enable_x64(dtype == "float64"):
        model, analysis = cube(5, 5.0), CorrelatedGaussian()
        whole = af.NSS(**SMALL).fit(model, analysis)
        first = {"max_iterations": 7, "checkpoint_interval": 2, "memory_limit": "1 GiB"}
        af.NSS("parts", **SMALL, chunk_size=7, **first).fit(model, analysis)
        assert len(list(output.rglob("checkpoint/dead-*.npy"))) >= 3
        parts = af.NSS("parts", **SMALL, chunk_size=6, scheduler="map").fit(model, analysis)
        assert not list(output.rglob("checkpoint"))
    assert whole.log_evidence == parts.log_evidence
    for name in ("parameters", "log_likelihoods", "weights"):
        np.testing.assert_array_equal(getattr(whole.samples, name), getattr(parts.samples, name))


def test_what_is_restored_is_what_was_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(_segments, "_SEGMENT_BYTES", 1000)
    run, unsaved = fresh_run(), fresh_run()
    here = checkpoint(tmp_path / "c")
    for iterations in (0, 1, 3, 0, 5, 2):
        advance(run, iterations)
        here.save(run)
        advance(unsaved, iterations)
        assert bits(run) == bits(unsaved)
        restored = checkpoint(tmp_path / "c").load()
        assert bits(restored) == bits(unsaved)
        assert sum(len(block.loglikelihood) for block in restored.dead) < 1000 // 48
    advance(restored, 4)
    advance(unsaved, 4)
    there = checkpoint(tmp_path / "c")
    assert there.load().iterations == 11
    there.save(restored)
    assert bits(checkpoint(tmp_path / "c").load()) == bits(unsaved)
    there.remove()
    assert checkpoint(tmp_path / "c").load() is None


def test_live_points_without_likelihood_are_saved_too(tmp_path):
    run = fresh_run(offset=-np.inf)
    advance(run, 1)
    checkpoint(tmp_path, fresh_run(offset=-np.inf)).save(run)
    assert bits(checkpoint(tmp_path, fresh_run(offset=-np.inf)).load()) == bits(run)


def test_the_cost_of_a_save_does_not_grow(tmp_path, monkeypatch):
    """12 MB of dead points, in 100 saves: what is written each time, and what stays in memory."""
    written, replace = [0], os.replace

    def weighed(source, target):
        written[-1] += os.path.getsize(source)
        replace(source, target)

    monkeypatch.setattr(os, "replace", weighed)
    run, here = fresh_run(), checkpoint(tmp_path)
    held = []
    tracemalloc.start()
    for _ in range(100):
        advance(run, 1, rows=2500)
        here.save(run)
        written.append(0)
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert max(written[50:]) <= 1.02 * max(written[:50]) < 2.5 * 2**20
    assert max(held[50:]) < max(held[:50]) + 2**18
    assert run.n_dead == 250_000


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_save_that_stops_anywhere_leaves_the_state_before(call, tmp_path, monkeypatch):
    """Neither the folder nor the run is harmed, and the next save works."""
    monkeypatch.setattr(_segments, "_SEGMENT_BYTES", 1000)
    run, here = fresh_run(), checkpoint(tmp_path)
    advance(run, 3)
    here.save(run)
    advance(run, 3)
    here.save(run)
    before = bits(run)
    advance(run, 4)
    after, original = bits(run), getattr(os, call)
    for survive in range(100):
        calls = iter(range(100))

        def failing(*arguments, calls=calls, survive=survive):
            if next(calls) >= survive:
                raise OSError(errno.ENOSPC, "No space left on device")
            original(*arguments)

        monkeypatch.setattr(os, call, failing)
        try:
            here.save(run)
        except OSError:
            monkeypatch.setattr(os, call, original)
            assert bits(run) == after
            assert bits(checkpoint(tmp_path).load()) == before
        else:
            break
    assert survive >= 4
    assert bits(run) == after
    assert bits(checkpoint(tmp_path).load()) == after


def test_a_full_disk_does_not_stop_sampling(output, monkeypatch):
    replace, failures = os.replace, []

    def full(source, target):
        if "checkpoint" in str(target) and len(failures) < 5:
            failures.append(target)
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    model, analysis = cube(5, 5.0), CorrelatedGaussian()
    search = af.NSS("full", **SMALL, checkpoint_interval=1, max_iterations=40)
    whole = search.fit(model, analysis)
    assert len(failures) == 5
    (log,) = (path.read_text() for path in output.rglob("search.log"))
    assert log.count("could not write the state of the run") == 1
    assert log.count("OSError: No space left on device") == 1
    assert log.count("the state of the run could be written again") == 1
    monkeypatch.setattr(os, "replace", replace)
    again = search.fit(model, analysis)  # all 40 iterations were saved: nothing is left to do
    np.testing.assert_array_equal(whole.samples.parameters, again.samples.parameters)


def test_a_result_that_cannot_be_written_is_returned_and_can_be_written_later(output, monkeypatch):
    replace = os.replace

    def full(source, target):
        if "samples" in str(target):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    search = af.NSS("full", **SMALL)
    with pytest.warns(UserWarning, match=r"could not write the result \(OSError: No space left"):
        first = search.fit(cube(5, 5.0), CorrelatedGaussian())
    assert not list(output.rglob(".completed")) and list(output.rglob("manifest-0.json"))
    monkeypatch.setattr(os, "replace", replace)
    again = search.fit(cube(5, 5.0), CorrelatedGaussian())
    assert first.log_evidence == again.log_evidence
    assert list(output.rglob(".completed")) and not list(output.rglob("manifest-0.json"))


def test_saved_by_time_whatever_the_clock_says(tmp_path, monkeypatch):
    clock = {"monotonic": 1000.0}
    monkeypatch.setattr(time, "monotonic", lambda: clock["monotonic"])
    paths = DirectoryPaths("fit", output_path=tmp_path)
    fitness = Fitness(MODEL, AnyAnalysis())
    output = RunOutput(fitness, paths, {}, {"seed": 5}, Intervals(checkpoint=5))
    run = output.resumed(fresh_run())

    def saved_at(seconds, iterations):
        clock["monotonic"] = 1000.0 + seconds
        advance(run, iterations)
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: 1e12 * (-1) ** run.iterations)
            output.update(run)
        state = RunOutput(fitness, paths, {}, {"seed": 5}, Intervals()).resumed(fresh_run())
        return state.iterations

    assert saved_at(59.9, 1) == 0
    assert saved_at(60.0, 1) == 2
    assert saved_at(119.9, 1) == 2, "60 s after the last save, not on the minute"
    assert saved_at(120.0, 0) == 3
    assert saved_at(121.0, 5) == 8, "or after so many iterations"
    output.save(run)
    advance(run, 1)
    output.save(run)
    assert saved_at(122.0, 0) == 9


class AnyAnalysis(af.Analysis):
    def log_likelihood_function(self, instance):
        return instance.x0


@pytest.mark.parametrize("seconds", [0, -1.0, float("inf"), float("nan"), "60", True])
def test_intervals_that_make_no_sense(seconds):
    with pytest.raises(OptionError, match="checkpoint_seconds must be a positive number or None"):
        Intervals(seconds=seconds).check()
    assert Intervals(checkpoint=100, quick=None, full=None).check().seconds == 60.0


def test_on_the_way_the_best_live_point_is_drawn_and_results_are_written(tmp_path):
    drawn = []

    class Drawing(AnyAnalysis):
        def visualize(self, paths, instance, during_analysis):
            drawn.append([instance.x0, instance.x1, instance.x2])

    paths, run = DirectoryPaths("fit", output_path=tmp_path), fresh_run()
    run.iterations = 1
    fitness, particles = Fitness(MODEL, Drawing()), run.state.particles
    RunOutput(fitness, paths, {}, {}, Intervals(quick=1)).update(run)
    best = np.asarray(particles.position)[np.argmax(particles.loglikelihood)]
    np.testing.assert_allclose(drawn, [2.0 * best - 1.0])  # uniform from -1 to 1
    assert not (paths.files_path / "samples.csv").exists()
    RunOutput(fitness, paths, {}, {}, Intervals(full=1)).update(run)
    assert (paths.files_path / "samples.csv").exists()
