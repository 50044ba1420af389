"""The policy of the tuner alone: clocks and speeds are made up, nothing is compiled."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autofit.non_linear.search.nest.nss._search_cost import SHARE, SearchCost
from autofit.non_linear.search.nest.nss._seconds_left import SecondsLeft
from autofit.non_linear.search.nest.nss._tuning import EXPECTED_GAIN, Tuner, ladder

N, COMPILE, TURN, LONG = 50, 10.0, 0.5, 1e6

CURVES: dict[str, Callable[[int], float]] = {
    "monotone up": lambda chunk: 100.0 * chunk,
    "monotone down": lambda chunk: 5000.0 / chunk**0.5,
    "saturating": lambda chunk: 5000.0 * chunk / (chunk + 10),
    "peak at 13": lambda chunk: 5000.0 * math.exp(-0.3 * math.log(chunk / 13) ** 2),
    "flat": lambda chunk: 5000.0,
}


class Ran(NamedTuple):
    tuner: Tuner
    asked: list[int]  # chunk sizes to compile
    used: list[int]  # chunk size of each call


def run(
    curve, start, *, highest=N, noise=0.0, seed=0, seconds_left=LONG, holds=math.inf, calls=600
) -> Ran:
    """Calls of about half a second; a compilation lasts for four of them."""
    tuner = Tuner(ladder(N, start, highest), start, COMPILE)
    rng, asked, used, compiling = np.random.default_rng(seed), [], [], 0
    for _ in range(calls):
        if tuner.is_settled:
            break
        if compiling:
            compiling -= 1
        elif (wanted := tuner.wanted(seconds_left)) is not None:
            asked.append(wanted)
            compiling = 4
        if compiling == 1:
            tuner.refuse() if tuner.challenger > holds else tuner.compiled(COMPILE)
        used.append(tuner.current)
        seconds = TURN * math.exp(noise * rng.standard_normal())
        if compiling <= 1:  # while the processor is shared with the compiler, nothing is timed
            tuner.observe(tuner.current, round(TURN * curve(tuner.current)), seconds)
    return Ran(tuner, asked, used)


@pytest.mark.parametrize("start", [1, 4, 13, 50])
@pytest.mark.parametrize("curve", CURVES)
def test_without_noise_it_ends_at_the_fastest(curve, start):
    ran, speed = run(CURVES[curve], start), CURVES[curve]
    assert ran.tuner.is_settled
    assert speed(ran.tuner.best) >= 0.999 * max(map(speed, ladder(N, start, N)))
    assert ran.tuner.current == ran.tuner.best
    assert len(ran.asked) == len(set(ran.asked)), "nothing is compiled twice"


@pytest.mark.parametrize("start", [1, 13, 50])
@pytest.mark.parametrize("curve", CURVES)
def test_with_noise_of_three_percent_it_ends_within_a_tenth_of_the_fastest(curve, start):
    speed = CURVES[curve]
    fastest = max(map(speed, ladder(N, start, N)))
    for seed in range(20):
        tuner = run(speed, start, noise=0.03, seed=seed).tuner
        assert speed(tuner.best) >= 0.9 * fastest, (seed, tuner.best)


@pytest.mark.parametrize("curve", CURVES)
def test_with_noise_of_a_tenth_it_nearly_always_does(curve):
    speed = CURVES[curve]
    tuners = [run(speed, start, noise=0.1, seed=s).tuner for s in range(20) for start in (1, 13)]
    good = [speed(tuner.best) >= 0.9 * max(map(speed, ladder(N, 1, N))) for tuner in tuners]
    assert np.mean(good) >= 0.9


def test_on_a_flat_curve_both_neighbours_are_tried_and_the_first_size_stays():
    ran = run(CURVES["flat"], 13)
    assert ran.asked == [25, 7]
    assert ran.tuner.best == 13
    assert [trial.chunk_size for trial in ran.tuner.trials] == [7, 13, 25]


def peak_at(size):
    return lambda chunk: 5000.0 * math.exp(-0.5 * math.log(chunk / size) ** 2)


def test_a_long_way_is_taken_in_growing_strides():
    ran = run(CURVES["monotone up"], 1)
    assert ran.asked == [2, 4, 13, 50, 25], "at last the neighbour that was jumped over"
    assert ran.tuner.best == 50


def test_a_peak_that_was_jumped_over_is_found():
    ran = run(peak_at(8), 1)
    assert ran.asked == [2, 4, 13, 50, 25, 8] and ran.tuner.best == 8


def test_a_peak_next_to_the_start_is_not_jumped_over():
    assert run(peak_at(7), 13).asked == [25, 7, 4]


def test_one_noisy_call_decides_nothing():
    tuner = Tuner([1, 2], 1, COMPILE)
    tuner.observe(1, 100, 1.0)
    assert tuner.wanted(LONG) == 2
    tuner.compiled(COMPILE)
    tuner.observe(2, 100, 0.1)
    assert tuner.best == 1 and tuner.current == 1, "the best has its turn next"


def test_a_gain_of_five_percent_is_taken_though_a_call_now_and_then_is_disturbed():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        tuner = Tuner([1, 2], 1, COMPILE)
        tuner.observe(1, 1000, TURN)
        assert tuner.wanted(LONG) == 2
        tuner.compiled(COMPILE)
        while tuner.challenger:
            speed = (1050 if tuner.current == 2 else 1000) * math.exp(0.01 * rng.standard_normal())
            is_disturbed = rng.random() < 0.15 or not tuner._turns[2]  # the first after compiling
            tuner.observe(tuner.current, round(speed), (1.3 if is_disturbed else 1.0) * TURN)
        assert tuner.best == 2, seed


@pytest.mark.parametrize(
    ("seconds", "ratio", "best"),
    [(10.0, 0.8, 1), (10.0, 1.3, 2), (10.0, 0.95, None), (10.0, 1.1, None), (1.0, 0.5, None)],
)
def test_one_pair_of_turns_decides_what_is_far_off_if_they_are_long(seconds, ratio, best):
    tuner = Tuner([1, 2], 1, COMPILE)
    tuner.observe(1, 100, seconds)
    assert tuner.wanted(LONG) == 2
    tuner.compiled(COMPILE)
    tuner.observe(2, 100, seconds / ratio)
    assert tuner.challenger == 2, "one turn is no pair"
    tuner.observe(1, 100, seconds)
    assert (tuner.challenger is None) == (best is not None)
    assert tuner.best == (best or 1)


@pytest.mark.parametrize("seconds_left", [0.0, 0.99 * (COMPILE + TURN) / EXPECTED_GAIN])
def test_no_trial_in_a_run_too_short_to_repay_a_compilation_and_a_turn(seconds_left):
    ran = run(CURVES["monotone up"], 13, seconds_left=seconds_left)
    assert ran.asked == [] and set(ran.used) == {13}
    assert not ran.tuner.is_settled, "the run may turn out to be longer"
    enough = 1.01 * (COMPILE + TURN) / EXPECTED_GAIN
    assert run(CURVES["monotone up"], 13, seconds_left=enough).asked


def test_a_compilation_that_took_long_counts_from_then_on():
    tuner = Tuner([1, 2, 4], 1, COMPILE)
    tuner.observe(1, 100, 1.0)
    left = 2 * COMPILE / EXPECTED_GAIN
    assert tuner.wanted(left) == 2
    tuner.compiled(10 * COMPILE)
    while tuner.challenger:
        tuner.observe(tuner.current, 100 * tuner.current, 1.0)
    assert tuner.best == 2
    assert tuner.wanted(left) is None and tuner.wanted(10 * left) == 4


def test_planning_and_a_second_trial_are_to_take_a_small_share_of_the_run():
    planning, spent = 7.0, 4.0
    enough = (planning + 2 * spent) / SHARE
    tuner = Tuner([1, 2, 4, 8], 2, COMPILE, planning_seconds=planning)
    tuner.observe(2, 100, 1.0)
    assert tuner.wanted(LONG) == 4
    tuner.cost.observe(100, 1.0 + spent)
    tuner.compiled(COMPILE)
    while tuner.challenger:
        tuner.observe(tuner.current, 100, 1.0 if tuner.current == 2 else 1.2)
    assert tuner.wanted(0.99 * enough) is None
    assert not tuner.is_settled, "the run may turn out to be longer"
    assert tuner.wanted(0.5 * enough, seconds_done=0.49 * enough) is None
    assert tuner.wanted(0.5 * enough, seconds_done=0.51 * enough) == 1


def test_the_cost_of_a_search_is_what_the_winner_would_not_have_taken():
    cost = SearchCost(planning_seconds=10.0)
    assert cost.allows_another(0.0)
    for useful, seconds in [(50, 1.0), (60, 1.0), (80, 1.0)]:
        cost.observe(useful, seconds)
    cost.end(100.0)
    assert cost.seconds == pytest.approx(3.0 - 1.9)
    cost.observe(120, 1.0)  # faster than its winner on the whole: chance, no gain
    cost.end(100.0)
    assert cost.seconds == pytest.approx(1.1)
    cost.end(100.0)  # nothing was on trial
    another = 1.1 / 2
    assert cost.allows_another((10.0 + 1.1 + another) / SHARE + 1e-6)
    assert not cost.allows_another((10.0 + 1.1 + another) / SHARE - 1e-6)


def test_nothing_is_wanted_before_the_first_call_is_timed():
    assert Tuner([1, 2], 1, COMPILE).wanted(LONG) is None


def test_a_size_that_does_not_fit_ends_the_way_up():
    ran = run(CURVES["monotone up"], 8, highest=400, holds=20)
    assert ran.tuner.best == 13
    assert [size for size in ran.asked if size > 20] == [25], "nor would what is larger"


def test_a_larger_size_that_cannot_be_compiled_leaves_the_way_down():
    tuner = Tuner(ladder(N, 13, N), 13, COMPILE)
    tuner.observe(13, 100, 1.0)
    assert tuner.wanted(LONG) == 25
    tuner.refuse()
    assert tuner.wanted(LONG) == 7


def test_a_challenger_that_does_not_work_leaves_the_best():
    tuner = Tuner([1, 2, 4, 8, 16], 4, COMPILE)
    tuner.observe(4, 100, 1.0)
    assert tuner.wanted(LONG) == 8
    tuner.compiled(COMPILE)
    assert tuner.current == 8
    tuner.refuse()
    assert tuner.current == tuner.best == 4 and tuner.challenger is None
    assert [trial.chunk_size for trial in tuner.trials] == [4]
    assert tuner.wanted(LONG) == 2, "nor is 16 tried"


def test_when_nothing_is_left_to_try_the_search_has_ended_however_little_time_is_left():
    tuner = Tuner([1], 1, COMPILE)
    tuner.observe(1, 100, 1.0)
    assert tuner.wanted(0.0) is None and tuner.is_settled


def test_what_the_best_did_before_a_comparison_stays_in_the_report_and_out_of_the_comparison():
    tuner = Tuner([1, 2], 1, COMPILE)
    for _ in range(50):
        tuner.observe(1, 100, 1.0)
    assert tuner.wanted(LONG) == 2
    tuner.compiled(COMPILE)
    for chunk, useful in 3 * [(2, 60), (1, 50)]:  # the machine has become slower
        assert tuner.current == chunk
        tuner.observe(chunk, useful, 1.0)
    assert tuner.best == 2
    assert [(trial.chunk_size, trial.calls) for trial in tuner.trials] == [(1, 53), (2, 3)]


def test_where_the_winner_fails_later_smaller_ones_are_looked_at_again():
    tuner = Tuner([1, 2, 4, 8], 8, COMPILE)
    while not tuner.is_settled:
        if tuner.wanted(LONG):
            tuner.compiled(COMPILE)
        tuner.observe(tuner.current, 100 * tuner.current, 1.0)
    assert tuner.best == 8
    tuner.lower(4)
    assert not tuner.is_settled
    assert tuner.wanted(LONG) == 2


@pytest.mark.parametrize("moment", range(1, 60, 4))
def test_it_never_goes_above_a_lowered_ceiling(moment):
    """Whatever it does at that moment: waits, compiles, or compares."""
    speed = CURVES["monotone up"]
    tuner, used, ceiling = Tuner(ladder(N, 13, 2 * N), 13, COMPILE), [], math.inf
    compiling = None
    for call in range(200):
        if call == moment:
            ceiling, compiling = max(1, tuner.current // 2), None
            tuner.lower(ceiling)
        if (wanted := tuner.wanted(LONG)) is not None:
            assert wanted < ceiling
            compiling = wanted
        elif compiling and call % 3 == 0:
            assert compiling == tuner.challenger
            tuner.compiled(COMPILE)
            compiling = None
        used.append(tuner.current)
        tuner.observe(tuner.current, round(speed(tuner.current)), 1.0)
    assert max(used[moment:]) == ceiling == tuner.best and tuner.is_settled
    assert all(trial.chunk_size <= ceiling for trial in tuner.trials)


def test_a_compilation_that_was_under_way_when_memory_ran_out_is_forgotten():
    tuner = Tuner(ladder(N, 13, N), 13, COMPILE)
    tuner.observe(13, 100, 1.0)
    assert tuner.wanted(LONG) == 25
    tuner.lower(6)
    assert tuner.challenger is None and tuner.current == 6
    tuner.observe(6, 100, 1.0)
    assert tuner.wanted(LONG) < 6


@given(n=st.integers(1, 300), start=st.integers(1, 300), more=st.integers(0, 300))
def test_a_ladder_has_its_start_one_and_nothing_above_the_highest(n, start, more):
    start = min(start, n)
    highest = start + more
    sizes = ladder(n, start, highest)
    assert sizes == sorted(set(sizes)) and start in sizes and sizes[0] == 1
    assert sizes[-1] <= highest
    below_n = [size for size in sizes if size < n and size != start]
    # Balanced: one call less at once would take another wave.
    assert all(size == 1 or -(-n // (size - 1)) > -(-n // size) for size in below_n)
    assert len(sizes) <= 2 + 2 * math.ceil(math.log2(max(highest, 2)))


def test_a_ladder_reaches_the_highest():
    assert ladder(50, 13, 50) == [1, 2, 4, 7, 13, 25, 50]
    assert ladder(50, 50, 100)[-1] == 100


def test_a_ladder_does_not_step_over_one_lane_for_each_particle():
    assert ladder(50, 13, 100) == [1, 2, 4, 7, 13, 25, 50, 100]
    assert ladder(50, 7, 100) == [1, 2, 4, 7, 13, 25, 50, 100]


def test_a_ladder_ends_at_the_lowest():
    assert ladder(50, 13, 50, lowest=2) == [2, 4, 7, 13, 25, 50]
    assert ladder(50, 1, 4, lowest=2) == [1, 2, 4]


def test_what_could_not_be_tried_above_the_winner_is_told():
    up, down = CURVES["monotone up"], CURVES["monotone down"]
    assert run(up, 8, highest=400, holds=20).tuner.ceiling == 25
    assert run(down, 8, highest=400, holds=20).tuner.ceiling is None, "16 was tried, and lost"
    assert run(up, 13).tuner.ceiling is None
    assert Tuner([1, 2, 4], 4, COMPILE, ceiling=5).ceiling == 5
    tuner = Tuner([1, 2, 4, 8], 8, COMPILE)
    tuner.lower(4)
    assert tuner.ceiling == 8


def observed(points, termination=-3.0):
    left = SecondsLeft(termination)
    for seconds, remaining in points:
        left.observe(seconds, 1, remaining)
    return left.seconds


def test_seconds_left_follow_a_straight_fall():
    falls = [(1.0, 200.0 - 2.0 * (i + 1)) for i in range(20)]  # ends after (200 + 3) / 2 seconds
    assert observed(falls) == pytest.approx(101.5 - 20.0)


def test_seconds_left_are_those_of_the_latest_half():
    fast, slow = [(1.0, 1000.0 - 50.0 * i) for i in range(10)], 550.0
    falls = fast + [(1.0, slow - 1.0 * (i + 1)) for i in range(30)]
    # Half of the time ago the slow part had begun: 1 per second, (520 + 3) to go.
    assert observed(falls) == pytest.approx(523.0)


@pytest.mark.parametrize(
    "remaining",
    [[5.0] * 8, [5.0, 6.0, 7.0, 8.0], [math.inf] * 8, [math.inf, 7.0], [math.nan] * 8],
)
def test_where_nothing_falls_the_run_is_expected_to_last_as_long_again(remaining):
    assert observed([(2.0, value) for value in remaining]) == 2.0 * len(remaining)


def test_nothing_is_expected_before_anything_is_known():
    assert SecondsLeft(-3.0).seconds == 0.0


def test_a_run_that_is_nearly_done_is_not_expected_to_last_as_long_again():
    assert observed([(1.0, 100.0 - 10.0 * i) for i in range(1, 11)]) == pytest.approx(0.3)


def test_caps_end_a_run_earlier():
    def left(**caps):
        left = SecondsLeft(-3.0, **caps)
        for _ in range(10):
            left.observe(2.0, 5, 100.0)
        return left.seconds

    assert left() == 20.0
    assert left(seconds=25.0) == 5.0
    assert left(iterations=60) == 4.0
    assert left(iterations=50) == 0.0


def test_the_history_of_a_long_run_stays_short():
    left = SecondsLeft(-3.0)
    for i in range(100_000):
        left.observe(1.0, 1, 1e6 - i)
    assert len(left._history) < 300
    assert left.seconds == pytest.approx(1e6 - 1e5 + 3, rel=1e-3)
