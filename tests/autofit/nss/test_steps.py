"""Whole fits that compile other chunk sizes on the way: the same chain, and what is kept of it."""

import json
import logging
import math
import shutil
import threading
from concurrent.futures import wait
from contextlib import contextmanager
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from elementwise import N_STEP, assert_same_bits, fit, recorded_samplings

from autofit.non_linear.search.nest.nss import _loop, _search_cost, _steps, _tuning
from autofit.non_linear.search.nest.nss._memory import Plan
from autofit.non_linear.search.nest.nss._sampling import Sampling
from autofit.non_linear.search.nest.nss._seconds_left import SecondsLeft
from autofit.non_linear.search.nest.nss._steps import TunedStep
from autofit.non_linear.search.nest.nss._tuning import PAIRS, Tuner
from autofit_memplan.cache import FOLDER_VARIABLE
from autofit_memplan.remembered import Fastest

LADDER = [1, 2, N_STEP]


class Cache:
    """A plan that has a plan cache and nothing else."""

    def __init__(self, entry=None):
        self.entry = entry

    def remember(self, name, fastest):
        self.entry = fastest

    def remembered(self, name):
        return self.entry


def idle():
    """A program that is never called."""
    return SimpleNamespace(lowered=[], refused=[], chunk_size=1)


@pytest.fixture
def samplings(monkeypatch):
    return recorded_samplings(monkeypatch)


@pytest.fixture
def eager(monkeypatch):
    """A gain is always expected, and every device call is one iteration."""
    monkeypatch.setattr(_tuning, "EXPECTED_GAIN", 1e9)
    monkeypatch.setattr(_loop, "_SECONDS_PER_CALL", 0.0)


@pytest.fixture
def patient(eager, monkeypatch):
    """The sampler waits for the compiler, so that a fit of a second has its trials, all of them."""
    take_over = TunedStep._take_over

    def waiting(self, tuner):
        if self._compiling is not None:
            wait([self._compiling])
        take_over(self, tuner)

    monkeypatch.setattr(TunedStep, "_take_over", waiting)
    monkeypatch.setattr(_search_cost, "SHARE", math.inf)
    monkeypatch.setattr(_tuning, "SHORTEST", 0.0)


@pytest.fixture
def smaller_wins(patient, monkeypatch):
    """Every challenger is taken; from the whole batch, the way leads to one call at a time."""
    monkeypatch.setattr(_tuning, "CLEARLY", 1e-9)


@pytest.fixture
def compiled_at(monkeypatch):
    """Chunk sizes of the step that were asked of the plan."""
    chunks, at_chunk = [], Plan.at_chunk

    def recording(self, name, chunk_size):
        chunks.append(chunk_size)
        return at_chunk(self, name, chunk_size)

    monkeypatch.setattr(Plan, "at_chunk", recording)
    return chunks


@contextmanager
def before_each_step(hook):
    """Calls ``hook(chunk_size)`` before every device call of a step while it lasts."""
    made = Sampling._program

    def watched(self, name, *arguments):
        program = made(self, name, *arguments)
        compiled = program._compiled

        def hooked():
            if name == "step":
                hook(program.chunk_size)
            return compiled()

        program._compiled = hooked
        return program

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sampling, "_program", watched)
        yield


@pytest.mark.parametrize(
    ("scheduler", "is_double", "tried"),
    [("lanes", False, LADDER[1:]), ("map", True, LADDER)],  # one lane would be made as two
    ids=["float32", "float64"],
)
def test_chunks_that_take_turns_give_the_bits_of_one(
    scheduler, is_double, tried, smaller_wins, samplings
):
    with jax.enable_x64(is_double):
        tuned = fit(chunk_size="auto", scheduler=scheduler)
        fixed = fit(chunk_size=N_STEP, scheduler=scheduler)
    trials = samplings[0].trials
    assert [trial.chunk_size for trial in trials] == tried
    assert all(trial.calls >= PAIRS and trial.evaluations_per_second > 0 for trial in trials)
    assert samplings[1].trials == []
    values = tuned.samples.log_likelihoods
    assert np.array_equal(values, values.astype("float32")) is not is_double
    assert_same_bits(tuned, fixed)


def test_settings_of_a_with_block_reach_the_compiler_s_thread():
    """What would have been compiled without them is another program."""
    seen = {}

    class Asked(Cache):
        def at_chunk(self, name, chunk_size):
            seen.update({setting: getattr(jax.config, setting) for setting in _steps._SETTINGS})
            return SimpleNamespace(fits=False)

    with jax.enable_x64(False), jax.default_prng_impl("rbg"), jax.numpy_dtype_promotion("strict"):
        here = {setting: getattr(jax.config, setting) for setting in _steps._SETTINGS}
        step = TunedStep(idle(), Asked(), None, SecondsLeft(-3.0), lambda: None)
        tuner = _tuning.Tuner([1, 2], 2, 0.0)
        tuner.observe(2, 1, 0.0)
        step._look_further(tuner)
        step._compiling.result(timeout=30)
        step.close()
    assert seen == here


def test_sampling_goes_on_while_the_compiler_works(patient, samplings, monkeypatch):
    """The compiler is held up until five more calls are done, which then wait for it."""
    at_chunk, enough, calls = Plan.at_chunk, threading.Event(), []

    def held_up(self, name, chunk_size):
        assert enough.wait(timeout=120)
        return at_chunk(self, name, chunk_size)

    class Watched(TunedStep):
        def __call__(self, *arguments):
            block = super().__call__(*arguments)
            calls.append((self._program.chunk_size, self.note))
            if len(calls) == 6:
                enough.set()
            return block

        def _take_over(self, tuner):
            if enough.is_set():
                super()._take_over(tuner)

    monkeypatch.setattr(Plan, "at_chunk", held_up)
    monkeypatch.setattr("autofit.non_linear.search.nest.nss._sampling.TunedStep", Watched)
    fit(chunk_size="auto")
    assert calls[1:6] == [(N_STEP, f"chunk {N_STEP}, compiling 2")] * 5
    undecided = f"chunk {N_STEP} or 2?"
    assert {chunk for chunk, note in calls[6:] if note == undecided} == {N_STEP, 2}


def test_the_fastest_is_reported_and_the_next_run_starts_there(
    smaller_wins, samplings, compiled_at, caplog
):
    with caplog.at_level(logging.INFO, "autofit"):
        first = fit(chunk_size="auto")
    (line,) = [x for x in caplog.text.splitlines() if "Useful evaluations by chunk" in x]
    assert [f" {chunk}: " in line for chunk in LADDER] == [True] * 3
    found = samplings[0].chunk_sizes()
    assert line.endswith(f"; 1 was taken. Trying took {found['search_seconds']:.1f} s.")
    assert found["search_seconds"] >= 0.0
    assert (found["taken"], found["is_settled"]) == (1, True)
    assert compiled_at == [2, 1]
    second = fit(chunk_size="auto")
    plan = samplings[1]._plan
    assert (plan.step.chunk_size, plan.step.chosen_by) == (1, "earlier run")
    assert compiled_at == [2, 1], "nothing is searched for again"
    assert samplings[1].trials == []
    assert_same_bits(first, second)


def test_a_search_that_the_end_of_the_run_cut_short_goes_on_in_the_next(
    smaller_wins, samplings, compiled_at, monkeypatch
):
    wanted = Tuner.wanted

    def once(self, *seconds):
        return wanted(self, *seconds) if self.best == N_STEP else None

    with monkeypatch.context() as cut_short:
        cut_short.setattr(Tuner, "wanted", once)
        fit(chunk_size="auto")
    assert compiled_at == [2]
    fit(chunk_size="auto")
    plan = samplings[1]._plan
    assert (plan.step.chunk_size, plan.step.chosen_by) == (2, "unfinished search")
    assert compiled_at == [2, N_STEP], "every challenger wins here"
    fit(chunk_size="auto")
    assert samplings[2]._plan.step.chosen_by == "earlier run"


def test_memory_means_the_most_that_fits_without_trials(patient, samplings, compiled_at):
    result = fit(chunk_size="memory")
    (sampling,) = samplings
    assert (sampling._plan.step.chunk_size, sampling._plan.step.chosen_by) == (N_STEP, "memory")
    assert compiled_at == [] and sampling.trials == []
    assert_same_bits(result, fit(chunk_size=N_STEP))


def test_a_short_run_compiles_nothing_more(samplings, compiled_at):
    fit(chunk_size="auto")
    assert compiled_at == []
    assert [trial.chunk_size for trial in samplings[0].trials] in ([], [N_STEP])


def test_a_compilation_that_fails_does_not_end_the_run(patient, samplings, monkeypatch, caplog):
    at_chunk = Plan.at_chunk

    def failing(self, name, chunk_size):
        if chunk_size == 2:
            raise jax.errors.JaxRuntimeError("INTERNAL: ptxas exited with non-zero error code 2")
        return at_chunk(self, name, chunk_size)

    monkeypatch.setattr(Plan, "at_chunk", failing)
    with caplog.at_level(logging.WARNING, "autofit"):
        result = fit(chunk_size="auto")
    assert "2 calls at once could not be compiled" in caplog.text and "ptxas" in caplog.text
    assert result.samples.samples_info["ended"] == "converged"
    assert [trial.chunk_size for trial in samplings[0].trials] == [1, N_STEP]
    assert "ptxas" in samplings[0].refused[0]
    monkeypatch.setattr(Plan, "at_chunk", at_chunk)
    fit(chunk_size="auto")
    plan = samplings[1]._plan
    assert (plan.step.chunk_size, plan.step.chosen_by) == (N_STEP, "earlier run")
    assert_same_bits(result, fit(chunk_size=N_STEP))


def test_a_chunk_that_does_not_fit_is_never_run(patient, samplings, monkeypatch):
    at_chunk = Plan.at_chunk

    def too_large(self, name, chunk_size):
        return at_chunk(self, name, chunk_size)._replace(fits=False, compile=None)

    monkeypatch.setattr(Plan, "at_chunk", too_large)
    fit(chunk_size="auto")
    assert [trial.chunk_size for trial in samplings[0].trials] == [N_STEP]
    assert samplings[0].refused == []


def test_a_larger_chunk_is_not_run_where_others_have_taken_the_memory(
    smaller_wins, samplings, monkeypatch
):
    fit(chunk_size="auto", max_iterations=1)
    samplings[0]._plan.remember("step", Fastest(chunk_size=1, is_settled=False))
    made = Sampling._program

    def crowded(self, *arguments):
        program = made(self, *arguments)
        nothing = self._plan.budget.model_copy(update={"limit_bytes": 1})
        program._read_budget = lambda: nothing
        return program

    monkeypatch.setattr(Sampling, "_program", crowded)
    result = fit(chunk_size="auto")
    [why] = samplings[1].refused
    assert why.startswith("step: 2 calls at once would take ") and " only 1 B are free" in why
    assert [trial.chunk_size for trial in samplings[1].trials] == [1]
    monkeypatch.setattr(Sampling, "_program", made)
    assert_same_bits(result, fit(chunk_size="auto"))
    assert samplings[2]._plan.step.chosen_by == "unfinished search", "there may be more next time"


def test_a_larger_chunk_that_kills_the_process_is_not_tried_by_the_next(
    smaller_wins, samplings, compiled_at, plan_cache, monkeypatch, tmp_path
):
    """The plan cache is copied while two calls at once run for the first time, from one on."""
    fit(chunk_size="auto", max_iterations=1)
    samplings[0]._plan.remember("step", Fastest(chunk_size=1, is_settled=False))
    left_behind = tmp_path / "left behind"

    def copy(chunk_size):
        if chunk_size == 2 and not left_behind.exists():
            shutil.copytree(plan_cache, left_behind)

    with before_each_step(copy):
        survivor = fit(chunk_size="auto")
    assert [trial.chunk_size for trial in samplings[1].trials] == LADDER
    monkeypatch.setenv(FOLDER_VARIABLE, str(left_behind))
    compiled_at.clear()
    next_one = fit(chunk_size="auto")
    plan = samplings[2]._plan
    assert (plan.step.chunk_size, plan.step.chosen_by) == (1, "unfinished search")
    assert compiled_at == [], "there is nothing below"
    assert_same_bits(survivor, next_one)
    fit(chunk_size="auto")
    assert samplings[3]._plan.step.chosen_by == "earlier run"


def test_below_one_that_killed_the_process_the_search_goes_on(smaller_wins, samplings, compiled_at):
    fit(chunk_size="auto", max_iterations=1)
    killed = Fastest(chunk_size=2, is_settled=False, ceiling=N_STEP, is_deadly=True)
    samplings[0]._plan.remember("step", killed)
    fit(chunk_size="auto")
    assert compiled_at == [1]
    assert [trial.chunk_size for trial in samplings[1].trials] == [1, 2]


def test_a_larger_chunk_that_fails_for_a_reason_of_its_own_ends_nothing(smaller_wins, samplings):
    fit(chunk_size="auto", max_iterations=1)
    samplings[0]._plan.remember("step", Fastest(chunk_size=1, is_settled=False))

    def no_pairs(chunk_size):
        if chunk_size == 2:
            raise jax.errors.JaxRuntimeError("INTERNAL: CUFFT_INVALID_SIZE")

    with before_each_step(no_pairs):
        result = fit(chunk_size="auto")
    [why] = samplings[1].refused
    assert why.startswith("step: INTERNAL: CUFFT_INVALID_SIZE at 2 calls at once")
    assert result.samples.samples_info["ended"] == "converged"


def with_challenger(cache, *have_run):
    """A step that is going to try two calls at once beside one, and has run some sizes."""
    tuner = Tuner([1, 2], 1, 0.0)
    tuner.observe(1, 1, 0.0)
    assert tuner.wanted(1.0) == 2
    step = TunedStep(idle(), cache, tuner, SecondsLeft(-3.0), lambda: None)
    step._have_run.update(have_run)
    return step, tuner


OPEN = Fastest(chunk_size=1, is_settled=False)
ANOTHERS = Fastest(chunk_size=13)


def test_while_a_larger_chunk_runs_for_the_first_time_others_are_warned():
    step, tuner = with_challenger(cache := Cache())
    with step._at_risk(tuner):
        assert cache.entry == OPEN.model_copy(update={"ceiling": 2, "is_deadly": True})
    assert cache.entry == OPEN


def test_a_search_that_had_ended_below_is_not_forgotten_by_a_kill():
    step, tuner = with_challenger(cache := Cache(Fastest(chunk_size=1, ceiling=2)))
    with step._at_risk(tuner):
        assert cache.entry == Fastest(chunk_size=1, ceiling=2, is_deadly=True)
        assert cache.entry.is_final
    assert cache.entry == Fastest(chunk_size=1, ceiling=2)


@pytest.mark.parametrize("when", ["before", "meanwhile", "after"])
def test_what_another_run_has_settled_stays(when):
    step, tuner = with_challenger(cache := Cache(OPEN))
    if when == "before":
        cache.entry = ANOTHERS
    with step._at_risk(tuner):
        if when == "meanwhile":
            cache.entry = ANOTHERS
    if when == "after":
        cache.entry = ANOTHERS
    step._remember(tuner)
    assert cache.entry == ANOTHERS


@pytest.mark.parametrize("have_run", [(1,), (1, 2)])
def test_a_warning_that_another_run_took_for_the_last_word_is_refuted_by_having_run(have_run):
    step, tuner = with_challenger(cache := Cache(), *have_run)
    cache.entry = believed = Fastest(chunk_size=1, ceiling=2, is_deadly=True)
    step._remember(tuner)
    assert cache.entry == (OPEN if 2 in have_run else believed)


def test_a_warning_outlives_a_run_that_does_not_end_its_search():
    killed = Fastest(chunk_size=1, is_settled=False, ceiling=4, is_deadly=True)
    step, tuner = with_challenger(cache := Cache(killed))
    with step._at_risk(tuner):
        pass
    tuner.compiled(0.0)
    for _ in range(2 * PAIRS):
        tuner.observe(tuner.current, 100 * tuner.current, 2.0)
    step.close()
    assert cache.entry == killed.model_copy(update={"chunk_size": 2})


def test_a_chunk_that_was_lowered_in_a_call_that_was_broken_off_is_not_kept():
    step, tuner = with_challenger(cache := Cache())
    tuner.refuse()
    step._program.lowered, step._program.chunk_size = ["out of memory"], 1
    tuner.best = tuner.start = 2
    step.close()
    assert cache.entry.chunk_size == 1


def test_what_memory_did_not_allow_is_all_that_the_next_run_tries(
    smaller_wins, samplings, compiled_at
):
    fit(chunk_size="auto", max_iterations=1)
    samplings[0]._plan.remember("step", Fastest(chunk_size=2, ceiling=3))
    fit(chunk_size="auto")
    assert samplings[1]._plan.step.chosen_by == "unfinished search"
    assert compiled_at == [N_STEP], "and not 1"
    assert [trial.chunk_size for trial in samplings[1].trials] == [2, N_STEP]


def test_a_stop_that_came_between_two_calls_is_heard_before_the_next():
    def stop():
        raise KeyboardInterrupt

    step = TunedStep(idle(), Cache(), None, SecondsLeft(-3.0), stop)
    with pytest.raises(KeyboardInterrupt):
        step(None, None, None)


def test_the_compiler_is_waited_for_where_memory_runs_out_and_stops_are_heard_meanwhile():
    heard = []

    def on_pause():
        heard.append(True)
        if len(heard) == 2:
            done.set()

    step, done = TunedStep(idle(), Cache(), None, SecondsLeft(-3.0), on_pause), threading.Event()
    assert not step._program.hold_off(), "nothing else takes memory"
    step._compiling = step._compiler.submit(done.wait, 60)
    assert step._program.hold_off() and len(heard) >= 2
    assert not step._program.hold_off()
    step.close()


@pytest.mark.parametrize(
    ("left", "chosen_by"),
    [(2, "earlier run"), (1, "unfinished search")],
    ids=["below it there was room to search", "it may have more memory"],
)
def test_where_a_larger_chunk_fails_the_next_run_begins_with_what_went_on(
    left, chosen_by, smaller_wins, samplings
):
    fit(chunk_size="auto", max_iterations=1)
    samplings[0]._plan.remember("step", Fastest(chunk_size=2, is_settled=False))
    most = N_STEP - 1

    def as_memory_allows(chunk_size):
        nonlocal most
        if chunk_size > most:
            most = left
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    with before_each_step(as_memory_allows):
        fit(chunk_size="auto")
    assert len(samplings[1].refused) == 1 and len(samplings[1].lowered) == 2 - left
    fit(chunk_size="auto")
    plan = samplings[2]._plan
    assert (plan.step.chunk_size, plan.step.chosen_by) == (1, chosen_by)


def test_a_chunk_that_was_remembered_and_fails_is_looked_for_again(smaller_wins, samplings):
    fit(chunk_size="auto", max_iterations=1)
    samplings[0]._plan.remember("step", Fastest(chunk_size=N_STEP))

    def at_most_two(chunk_size):
        if chunk_size > 2:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    with before_each_step(at_most_two):
        fit(chunk_size="auto")
    assert samplings[1]._plan.step.chosen_by == "earlier run"
    assert len(samplings[1].lowered) == 1
    fit(chunk_size="auto")
    plan = samplings[2]._plan
    assert (plan.step.chunk_size, plan.step.chosen_by) == (2, "unfinished search")


def test_trials_of_before_an_interruption_stay_in_the_folder(smaller_wins, samplings, output):
    first = fit(name="interrupted", chunk_size="auto", max_iterations=30)
    assert [trial.chunk_size for trial in samplings[0].trials] == LADDER
    fit(name="interrupted", chunk_size="auto")
    assert samplings[1].trials == []
    [path] = output.rglob("chunk_sizes.json")
    assert [trial["chunk_size"] for trial in json.loads(path.read_text())["trials"]] == LADDER
    assert first.samples.samples_info["ended"] == "max_iterations"
