"""The solver's promises, as properties over byte oracles."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autofit_memplan.solver import Line, balance, check_chunk_size, choose_chunk, waves

MOST_COMPILES_AFFINE = 4
MOST_COMPILES_GUESSED = 2
MOST_COMPILES = 8
BYTES = st.integers(0, 10**12)
fixed_seed = settings(derandomize=True, deadline=None, max_examples=400)


def balanced_sizes(n):
    return sorted({math.ceil(n / w) for w in range(1, n + 1)})


@st.composite
def affine_problems(draw):
    """``n``, the line's two coefficients, a limit that is often just on a chunk's edge."""
    n = draw(st.integers(1, 10_000))
    fixed, slope = draw(BYTES), draw(st.one_of(st.just(0), BYTES))
    edge = fixed + slope * draw(st.integers(0, n + 1)) + draw(st.integers(-1, 1))
    return n, fixed, slope, draw(st.one_of(st.just(max(edge, 0)), BYTES))


GUESSES = st.builds(Line, BYTES, BYTES)


@given(affine_problems(), GUESSES)
@fixed_seed
def test_affine_programs_get_the_fewest_waves_that_fit(problem, guess):
    n, fixed, slope, limit = problem
    chunk, measured = choose_chunk(n, limit, lambda c: fixed + slope * c, guess)
    fitting = [c for c in balanced_sizes(n) if fixed + slope * c <= limit]
    assert chunk == max(fitting, default=None)
    assert len(measured) <= MOST_COMPILES_AFFINE


@given(affine_problems())
@fixed_seed
def test_a_right_guess_saves_compilations(problem):
    n, fixed, slope, limit = problem
    _, measured = choose_chunk(n, limit, lambda c: fixed + slope * c, Line(fixed, slope))
    assert len(measured) <= MOST_COMPILES_GUESSED
    if fixed + slope * n <= limit:
        assert set(measured) == {n}


@given(affine_problems(), BYTES, GUESSES)
@fixed_seed
def test_more_budget_never_means_more_waves(problem, more, guess):
    n, fixed, slope, limit = problem
    small, _ = choose_chunk(n, limit, lambda c: fixed + slope * c, guess)
    large, _ = choose_chunk(n, limit + more, lambda c: fixed + slope * c, guess)
    if small is not None:
        assert waves(n, large) <= waves(n, small)


@st.composite
def oracles(draw, monotone):
    """Bytes for every chunk of ``1 … n``, by steps of any size."""
    n = draw(st.integers(1, 200))
    step = st.one_of(st.just(0), st.integers(0 if monotone else -1000, 1000), st.just(10**6))
    needed = [draw(st.integers(0, 10**5))]
    for increase in draw(st.lists(step, min_size=n - 1, max_size=n - 1)):
        needed.append(max(0, needed[-1] + increase))
    return n, needed, draw(st.one_of(st.sampled_from(needed), st.integers(0, 10**6)))


@given(oracles(monotone=True), GUESSES)
@fixed_seed
def test_any_growing_memory_is_safe_and_finds_something(problem, guess):
    n, needed, limit = problem
    chunk, measured = choose_chunk(n, limit, lambda c: needed[c - 1], guess)
    if chunk is None:
        assert needed[0] > limit
    else:
        assert needed[chunk - 1] <= limit
        assert chunk in balanced_sizes(n)
        assert len(measured) <= MOST_COMPILES
    assert (chunk is None) == (needed[0] > limit)
    assert all(measured[c] == needed[c - 1] for c in measured)


@given(oracles(monotone=False), GUESSES)
@fixed_seed
def test_memory_that_falls_with_the_batch_is_still_safe(problem, guess):
    n, needed, limit = problem
    chunk, measured = choose_chunk(n, limit, lambda c: needed[c - 1], guess)
    if chunk is None:
        assert measured[1] > limit
    else:
        assert measured[chunk] == needed[chunk - 1] <= limit


def test_a_bend_in_the_memory_does_not_hide_half_of_the_waves():
    # Hardly any growth up to 50 calls, then 100 times as much: the chord from 1 to 100 lies.
    def needed(chunk):
        return 10 + chunk if chunk <= 50 else 1_000_000

    chunk, measured = choose_chunk(100, 70, needed, Line(10, 0))
    assert chunk == 50
    assert len(measured) <= MOST_COMPILES


@given(st.integers(1, 10_000), st.integers(1, 10_000))
@fixed_seed
def test_balancing_keeps_the_waves_and_takes_the_least(n, chunk):
    least = balance(n, chunk)
    assert waves(n, least) == waves(n, chunk) == math.ceil(n / chunk)
    assert least == 1 or math.ceil(n / (least - 1)) > math.ceil(n / chunk)


@pytest.mark.parametrize("wrong", [0, -3, True, 2.0, "4", None])
def test_what_is_no_chunk_size_is_refused(wrong):
    with pytest.raises(ValueError, match=f"chunk_size={wrong!r}"):
        check_chunk_size(wrong)
