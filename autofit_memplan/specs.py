"""MODULE:FUNCTION as it is written on a command line, to a function and one example vector."""

from __future__ import annotations

import difflib
import importlib
import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from autofit_memplan.errors import MemplanError
from autofit_memplan.footprint import compile_program
from autofit_memplan.records import DeviceBudget

_MIDDLE = 0.5
"""Where a function is evaluated once unless its factory gives an example."""


class SpecError(MemplanError, ValueError):
    """MODULE:FUNCTION, or what it names, is nothing that can be planned on."""


class Problem(NamedTuple):
    """A function of one vector.

    Attributes
    ----------
    spec
        What the user wrote.
    function
        Takes one vector like `example` and returns one floating-point number.
    example
        Shape ``(n_dim,)``, on the host.
    origin
        What the example is, to be read after "at".
    """

    spec: str
    function: Callable
    example: np.ndarray
    origin: str

    @property
    def n_dim(self) -> int:
        return len(self.example)


def resolve(spec: str) -> Callable:
    """The callable that ``MODULE:NAME`` names; the name may have dots (``Class.method``).

    Raises
    ------
    SpecError
        If the text has another form, the module or the name does not exist, importing the module
        fails, or what is found is not callable.
    """
    module_name, _, name = spec.partition(":")
    if not (_is_dotted_name(module_name) and _is_dotted_name(name)):
        raise SpecError(
            f"{spec!r} is not MODULE:FUNCTION. Write the module as in an import, a colon, and the "
            "function's name: likelihoods:log_likelihood, package.module:function"
        )
    try:
        found = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{module_name}.".startswith(f"{missing}."):
            raise SpecError(
                f"there is no module {missing!r} (from {spec!r}). Run the command from the folder "
                "that holds it, or add that folder to PYTHONPATH"
            ) from error
        raise SpecError(f"importing {module_name!r} fails: {shown(error)}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            near = difflib.get_close_matches(part, dir(found), n=3)
            hint = f"; it has {', '.join(near)}" if near else ""
            raise SpecError(f"{module_name!r} has no {name!r} (from {spec!r}){hint}")
        found = getattr(found, part)
    if not callable(found):
        raise SpecError(f"{spec!r} is a {type(found).__name__}, not a function")
    return found


def load_problem(spec: str, n_dim: int | None, dtype: str) -> Problem:
    """The function that `spec` names, or that the factory it names makes, and one example.

    A callable that needs no argument is a factory: it is called, and returns ``(function,
    example)`` or a function. Nothing is computed, but the function is traced once.

    Parameters
    ----------
    spec
        ``MODULE:NAME``.
    n_dim
        Length of the vector; needed unless there is an example, with which it has to agree.
    dtype
        Of the vector, ``"float32"`` or ``"float64"``.

    Raises
    ------
    SpecError
        If there is no such function, its vector's length is unknown, or it does not make one
        floating-point number of one vector.
    """
    function, example = _made_by_factory(spec, resolve(spec))
    if jnp.result_type(float) != dtype:
        raise SpecError(
            f"JAX is set to {jnp.result_type(float)}, not {dtype}; if {spec}'s module sets it, "
            "pass the same --dtype"
        )
    if example is None:
        if n_dim is None:
            raise SpecError(f"the length of {spec}'s vector is not known; pass --n-dim")
        origin = f"{_MIDDLE} in each of {n_dim} dimensions"
        problem = Problem(spec, function, np.full(n_dim, _MIDDLE, dtype), origin)
    else:
        vector = _vector(spec, example, dtype)
        if n_dim not in (None, len(vector)):
            raise SpecError(
                f"--n-dim {n_dim}, but {spec}'s example has {len(vector)} dimensions; leave "
                "--n-dim out or correct it"
            )
        problem = Problem(spec, function, vector, "the factory's example")
    _check_output(problem)
    return problem


def value_at_example(problem: Problem, budget: DeviceBudget) -> float | None:
    """Evaluate the function once, on the device of `budget`.

    Returns
    -------
    The value, possibly infinite; ``None`` when one call does not fit the budget and was not made.

    Raises
    ------
    SpecError
        If the value is NaN, or the call fails.
    """
    try:
        program = compile_program(problem.function, problem.example, platform=budget.platform)
    except jax.errors.JaxRuntimeError as error:
        raise SpecError(f"{problem.spec} cannot be compiled: {shown(error)}") from error
    if not budget.holds(program.footprint):
        return None
    try:
        value = float(program.executable(problem.example))
    except Exception as error:
        raise SpecError(f"{problem.spec} fails at {problem.origin}: {shown(error)}") from error
    if math.isnan(value):
        raise SpecError(
            f"{problem.spec} is NaN at {problem.origin}. Name a factory that returns (function, "
            "example) with an example inside the function's domain"
        )
    return value


def _is_dotted_name(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _made_by_factory(spec: str, found: Callable) -> tuple[Callable, Any]:
    if _arguments_needed(found) > 1:
        raise SpecError(
            f"{spec} needs {_arguments_needed(found)} arguments; it must be a function of one "
            "vector, or a factory of no argument that returns (function, example)"
        )
    if _arguments_needed(found) == 1:
        return found, None
    try:
        made = found()
    except Exception as error:
        raise SpecError(f"the factory {spec} fails: {shown(error)}") from error
    function, example = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not callable(function):
        raise SpecError(
            f"{spec} needs no argument, so it is a factory, but it returned a "
            f"{type(made).__name__}; return (function, example), or a function"
        )
    return function, example


def _arguments_needed(function: Callable) -> int:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some built-in functions do not tell
        return 1
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [p for p in parameters if p.default is p.empty and p.kind not in kinds]
    takes_any = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    return len(needed) or int(takes_any)


def _vector(spec: str, example: Any, dtype: str) -> np.ndarray:
    try:
        vector = np.asarray(example, dtype)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{spec}'s example is no vector of numbers: {shown(error)}") from error
    if vector.ndim != 1 or not len(vector):
        raise SpecError(
            f"{spec}'s example has shape {vector.shape}; it must be one vector, shape (n_dim,)"
        )
    return vector


def _check_output(problem: Problem) -> None:
    try:
        output = jax.eval_shape(problem.function, problem.example)
    except Exception as error:
        raise SpecError(
            f"JAX cannot trace {problem.spec} with a {problem.example.dtype} vector of "
            f"{problem.n_dim}: {shown(error)}"
        ) from error
    shape, dtype = getattr(output, "shape", None), getattr(output, "dtype", None)
    if shape != () or dtype is None or not jnp.issubdtype(dtype, jnp.floating):
        what = type(output).__name__ if shape is None else f"{dtype} of shape {shape}"
        raise SpecError(
            f"{problem.spec} must return one floating-point number, shape (), for one vector of "
            f"{problem.n_dim}; it returns {what}"
        )


def shown(error: BaseException) -> str:
    """Type and first line: JAX's own messages go on for pages."""
    first_line = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first_line}"
