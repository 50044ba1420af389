"""MODULE:FUNCTION, well and badly written."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autofit_memplan.records import DeviceBudget
from autofit_memplan.specs import SpecError, load_problem, resolve, value_at_example

MODULE = """
import jax.numpy as jnp

def total(x):
    return jnp.sum(x)

def two_arguments(x, y):
    return x

def vector(x):
    return 2 * x

def count(x):
    return jnp.argmax(x)

def pair(x):
    return jnp.sum(x), 0.0

def branching(x):
    return 1.0 if x[0] > 0 else 2.0

def logarithm(x):
    return jnp.sum(jnp.log(-x))

def divided(x):
    return jnp.sum(1.0 / (x - 0.5))

def factory():
    return total, [1, 2, 3]

def bare_factory(scale=2.0):
    return lambda x: scale * jnp.sum(x)

def table_factory():
    return total, [[1.0, 2.0]]

def empty_factory():
    return total, []

def word_factory():
    return total, "abc"

def number_factory():
    return 3.0

def broken_factory():
    raise FileNotFoundError("no data.fits\\nsecond line")

class Holder:
    method = staticmethod(total)

NUMBER = 1.0
"""

names = (f"written_{i}" for i in itertools.count())


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a module of a new name, and return the name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(text):
        name = next(names)
        (tmp_path / f"{name}.py").write_text(text)
        return name

    return write


@pytest.fixture
def module(write):
    return write(MODULE)


def budget(limit_bytes=2**30):
    return DeviceBudget(device_kind="cpu", platform="cpu", limit_bytes=limit_bytes)


def test_a_function_is_found_with_an_example_in_the_middle(module):
    problem = load_problem(f"{module}:total", 4, "float32")
    assert problem.n_dim == 4
    assert problem.example.dtype == np.float32
    assert problem.function(problem.example) == 2.0
    assert problem.origin == "0.5 in each of 4 dimensions"


def test_dots_lead_into_a_class(module):
    assert resolve(f"{module}:Holder.method")(jnp.ones(3)) == 3.0


@pytest.mark.parametrize("n_dim", [None, 3])
def test_a_factory_brings_its_example(module, n_dim):
    problem = load_problem(f"{module}:factory", n_dim, "float32")
    assert problem.example.tolist() == [1.0, 2.0, 3.0]
    assert problem.example.dtype == np.float32
    assert problem.origin == "the factory's example"


def test_a_factory_may_bring_a_function_alone(module):
    problem = load_problem(f"{module}:bare_factory", 3, "float32")
    assert problem.function(problem.example) == 3.0


def test_double_precision_is_passed_on(module):
    with jax.enable_x64(True):
        assert load_problem(f"{module}:factory", None, "float64").example.dtype == np.float64


@pytest.mark.parametrize(
    ("name", "n_dim", "words"),
    [
        ("totl", 3, ["no 'totl'", "total"]),
        ("Holder.nothing", 3, ["no 'Holder.nothing'"]),
        ("NUMBER", 3, ["float", "not a function"]),
        ("total", None, ["--n-dim"]),
        ("two_arguments", 3, ["2 arguments", "factory"]),
        ("vector", 3, ["shape ()", "float32 of shape (3,)"]),
        ("count", 3, ["shape ()", "int32"]),
        ("pair", 3, ["shape ()", "tuple"]),
        ("branching", 3, ["cannot trace", "float32 vector of 3", "TracerBoolConversionError"]),
        ("factory", 2, ["--n-dim 2", "3 dimensions"]),
        ("bare_factory", None, ["--n-dim"]),
        ("table_factory", None, ["shape (1, 2)"]),
        ("empty_factory", None, ["shape (0,)"]),
        ("word_factory", None, ["no vector of numbers"]),
        ("number_factory", None, ["returned a float"]),
        ("broken_factory", None, ["FileNotFoundError: no data.fits"]),
    ],
)
def test_what_cannot_be_planned_is_refused_with_the_reason(module, name, n_dim, words):
    with pytest.raises(SpecError) as refused:
        load_problem(f"{module}:{name}", n_dim, "float32")
    message = str(refused.value)
    assert [word for word in words if word not in message] == []
    assert "second line" not in message


def test_the_wrong_precision_is_refused(module):
    with pytest.raises(SpecError, match="JAX is set to float32, not float64"):
        load_problem(f"{module}:total", 3, "float64")


def test_a_missing_module_is_told_from_a_missing_import(write):
    with pytest.raises(SpecError, match=r"no module 'nowhere_at_all'.*PYTHONPATH"):
        resolve("nowhere_at_all.inside:f")
    importing = write("import nowhere_at_all")
    with pytest.raises(SpecError, match=f"importing '{importing}' fails: ModuleNotFoundError"):
        resolve(f"{importing}:f")


@pytest.mark.parametrize("line", ["1 / 0", "def f(:", "raise SystemExit(0)"])
def test_a_module_that_fails_to_import_is_refused(write, line):
    with pytest.raises(SpecError, match=r"importing .* fails"):
        resolve(f"{write(line)}:f")


@given(st.text())
def test_text_that_is_no_spec_is_refused(text):
    is_well_formed = text.count(":") == 1 and all(
        part.isidentifier() for side in text.split(":") for part in side.split(".")
    )
    if not is_well_formed:
        with pytest.raises(SpecError, match="is not MODULE:FUNCTION") as refused:
            resolve(text)
        assert repr(text) in str(refused.value)


@given(st.from_regex(r"nowhere_[a-z]{1,4}(\.[a-z]{1,4}){0,2}:[a-z]{1,4}", fullmatch=True))
def test_unknown_modules_are_refused(text):
    with pytest.raises(SpecError, match="there is no module 'nowhere_"):
        resolve(text)


def test_the_value_is_that_of_the_function(module):
    problem = load_problem(f"{module}:factory", None, "float32")
    assert value_at_example(problem, budget()) == 6.0


def test_infinity_is_a_value(module):
    problem = load_problem(f"{module}:divided", 3, "float32")
    assert value_at_example(problem, budget()) == math.inf


def test_nan_is_refused_and_the_place_is_named(module):
    problem = load_problem(f"{module}:logarithm", 3, "float32")
    with pytest.raises(SpecError, match=r"NaN at 0\.5 in each of 3 dimensions.*factory"):
        value_at_example(problem, budget())


def test_a_call_that_does_not_fit_is_not_made(module):
    problem = load_problem(f"{module}:logarithm", 3, "float32")
    assert value_at_example(problem, budget(limit_bytes=8)) is None
