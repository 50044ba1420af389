"""Refuse a log-likelihood function that JAX cannot trace, naming the line and the remedy."""

from __future__ import annotations

import linecache
import os
import sysconfig
import traceback
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from autofit.non_linear.errors import NotTraceableError

_REMEDIES = (
    (
        jax.errors.TracerArrayConversionError,
        "a traced value was turned into a NumPy array. Use the function of the same name in "
        "jax.numpy there instead of numpy's (or scipy's)",
    ),
    (
        jax.errors.TracerBoolConversionError,
        "Python has to choose a branch (if, while, and, or, min, max) on a traced value. Use "
        "jax.numpy.where, jax.numpy.minimum / maximum, or jax.lax.cond",
    ),
    (
        jax.errors.TracerIntegerConversionError,
        "a traced value is used as a Python index or length. Index with jax.numpy arrays and "
        "keep lengths fixed",
    ),
    (
        jax.errors.NonConcreteBooleanIndexError,
        "the shape of a result depends on values (boolean masks, nonzero, unique). Use "
        "jax.numpy.where with three arguments, or a mask known beforehand",
    ),
    (
        jax.errors.ConcretizationTypeError,
        "a traced value is needed as a plain number (float(), int(), .item(), a shape). Keep it a "
        "JAX array",
    ),
)


def require_traceable(function: Callable, example: jax.ShapeDtypeStruct, owner: Any) -> None:
    """Trace `function` abstractly and check that it returns one real number.

    Parameters
    ----------
    function
        Maps one point, shape ``(n_dim,)``, to the log likelihood.
    example
        Shape and dtype of the point.
    owner
        The analysis, for the message.

    Raises
    ------
    NotTraceableError
        With the line of the user's code where tracing stopped. Errors that have nothing to do
        with tracing are not touched.
    """
    name = f"{type(owner).__name__}.log_likelihood_function"
    try:
        out = jax.eval_shape(function, example)
    except tuple(error for error, _ in _REMEDIES) as error:
        reason = next(text for kind, text in _REMEDIES if isinstance(error, kind))
        raise NotTraceableError(
            f"{name} cannot be traced by JAX: {reason}.\n{_where(error)}"
        ) from error
    except TypeError as error:
        # float(tracer), math.exp(tracer) and NumPy ufuncs on tracers end as TypeError in places.
        if "racer" not in str(error) and "Abstract tracer" not in str(error):
            raise
        raise NotTraceableError(
            f"{name} cannot be traced by JAX: {_REMEDIES[-1][1]}.\n{_where(error)}"
        ) from error
    if not isinstance(out, jax.ShapeDtypeStruct) or out.size != 1:
        leaves = jax.tree.leaves(out)
        shapes = [getattr(leaf, "shape", type(leaf).__name__) for leaf in leaves]
        raise NotTraceableError(
            f"{name} must return one number, the log likelihood; it returned "
            f"{_kind(out)}{f' of shapes {shapes}' if leaves else ''}. Sum over the data, and "
            "do not forget the return."
        )
    if not np.issubdtype(out.dtype, np.floating):
        raise NotTraceableError(
            f"{name} must return a real floating-point number; it returned {out.dtype}. "
            "Take the real part, or convert integers with .astype(float)."
        )


def _kind(out: Any) -> str:
    if out is None:
        return "None"
    return "an array" if isinstance(out, jax.ShapeDtypeStruct) else f"a {type(out).__name__}"


def _where(error: BaseException) -> str:
    """The innermost line of the traceback that is the user's own."""
    libraries = {sysconfig.get_paths()[key] for key in ("stdlib", "purelib", "platlib")}
    here = os.path.dirname(os.path.dirname(__file__))  # this package, and the planner beside it
    libraries |= {here, os.path.join(os.path.dirname(here), "autofit_memplan")}
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not any(frame.filename.startswith(path + os.sep) for path in libraries)
        and not frame.filename.startswith("<")
    ]
    if not frames:
        return str(error).splitlines()[0]
    frame = frames[-1]
    line = frame.line or linecache.getline(frame.filename, frame.lineno or 0).strip()
    return f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}\n    {line}'
