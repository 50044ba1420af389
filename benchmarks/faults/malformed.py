"""Input that makes no sense, by hypothesis: refused in words, never a crash, never believed."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import autofit as af
from autofit.mapper.errors import MapperError
from autofit.non_linear.errors import CheckpointError, OptionError
from autofit.non_linear.samples import Samples
from autofit.non_linear.search.nest.nss._manifest import _checksum, read_manifest
from autofit.non_linear.search.nest.nss._rows import StoredRows, checksum, read_rows
from autofit_memplan import LimitError, Plan, read_budget
from benchmarks.faults.process import Outcome

_DEADLINE_MILLISECONDS = 5_000
"""An input that takes longer is a hang."""

_DTYPE = np.dtype([("x", "<f8", (2,)), ("loglikelihood", "<f8")])

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.sampled_from(["auto", "8 GiB", "-1", "1e9", "110%", "lanes", "\0", "../x", 10**400])
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def _options(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names), anything, min_size=1, max_size=3)


_NSS_NAMES = (
    *("n_live", "num_mcmc_steps", "num_delete", "chunk_size", "termination", "seed", "scheduler"),
    *("checkpoint_interval", "iterations_per_quick_update", "iterations_per_full_update"),
    *("memory_limit", "max_iterations", "max_seconds", "checkpoint_seconds"),
)
_PRIORS = (
    (af.UniformPrior, ("lower_limit", "upper_limit")),
    (af.LogUniformPrior, ("lower_limit", "upper_limit")),
    (af.GaussianPrior, ("mean", "sigma")),
    (af.TruncatedGaussianPrior, ("mean", "sigma", "lower_limit", "upper_limit")),
    (af.LogGaussianPrior, ("mean", "sigma")),
)


def _search(options: dict[str, Any]) -> None:
    af.NSS(**options)


def _prior(drawn: tuple[tuple[type, tuple[str, ...]], list[Any]]) -> None:
    (kind, names), values = drawn
    prior = kind(**dict(zip(names, values, strict=False)))
    value = prior.value_for(0.3)
    if not np.isfinite(value):
        raise AssertionError(f"{prior!r} was accepted, and has the value {value} at 0.3")


def _model(drawn: tuple[dict[str, Any], list[Any]]) -> None:
    items, vector = drawn
    model = af.Collection(x=af.UniformPrior(), y=af.GaussianPrior(0.0, 1.0), **items)
    model.info  # noqa: B018
    model.instance_from_vector(vector)


def _plan(text: str) -> None:
    Plan.model_validate_json(text)


def _manifest(drawn: tuple[bytes | dict[str, Any], bool]) -> None:
    content, is_signed = drawn
    if isinstance(content, dict):
        signed = {**content, "checksum": _checksum(content)} if is_signed else content
        content = json.dumps(signed).encode()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "manifest-0.json")
        path.write_bytes(content)
        read_manifest(path)


def _rows(drawn: tuple[bytes, int, bool]) -> None:
    content, rows, is_signed = drawn
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "state-0.npy").write_bytes(content)
        signature = checksum(content) if is_signed else "0"
        stored = StoredRows(name="state-0.npy", rows=rows, checksum=signature)
        read_rows(Path(folder), stored, _DTYPE)


def _samples(text: str) -> None:
    model = af.Collection(x=af.UniformPrior(), y=af.UniformPrior())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "samples.csv")
        path.write_text(text, encoding="utf-8", newline="")
        Samples.from_csv(path, model)


_NPY = b"\x93NUMPY\x01\x00"
_HEADER = b"{'descr': %s, 'fortran_order': False, 'shape': (%d,), }"
_npy = st.builds(
    lambda descr, n, body: (
        _NPY + len(_HEADER % (descr, n)).to_bytes(2, "little") + _HEADER % (descr, n) + body
    ),
    st.sampled_from([b"'<f8'", b"'|O'", b"'<f9'", b"__import__('os')", b"[" * 50]),
    st.integers(0, 10**12),
    st.binary(max_size=64),
)
_csv = st.builds(
    lambda head, cells: head + "".join(",".join(row) + "\n" for row in cells),
    st.sampled_from(["", "x,y\n", "x,y,log_likelihood,log_prior,log_posterior,weight\n"]),
    st.lists(
        st.lists(st.sampled_from(["0.5", "1", "nan", "-inf", "1e999", "a", "", '"', "#"])),
        max_size=4,
    ),
)
_manifest_like = st.fixed_dictionaries(
    {"format": st.sampled_from([1, True, 0, -1, "1", None]) | json_values},
    optional=dict.fromkeys(
        ("generation", "versions", "fingerprint", "counts", "state", "segments"), json_values
    ),
)

SURFACES: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], None], tuple[type, ...]]] = {
    "options of af.NSS": (_options(_NSS_NAMES), _search, (OptionError, LimitError)),
    "priors": (
        st.tuples(st.sampled_from(_PRIORS), st.lists(anything, min_size=2, max_size=4)),
        _prior,
        (MapperError,),
    ),
    "models": (
        st.tuples(
            st.dictionaries(st.sampled_from(["a", "b"]), anything), st.lists(anything, max_size=3)
        ),
        _model,
        (MapperError,),
    ),
    "memory limits": (anything, lambda limit: read_budget(limit=limit), (LimitError,)),
    "plans": (st.text() | json_values.map(json.dumps), _plan, (ValidationError,)),
    "manifests": (
        st.tuples(st.binary() | _manifest_like, st.booleans()),
        _manifest,
        (CheckpointError,),
    ),
    "tables of numbers": (
        st.tuples(st.binary(max_size=300) | _npy, st.integers(0, 10**12), st.booleans()),
        _rows,
        (CheckpointError,),
    ),
    "samples": (st.text(st.characters(codec="utf-8")) | _csv, _samples, (ValueError,)),
}
"""Surface -> what is thrown at it, who takes it, and the errors that its documentation names."""


def attack(surface: str, examples: int) -> Counter[str]:
    """Throw `examples` inputs at a surface; whatever is neither taken nor refused is raised.

    Returns
    -------
    Counter
        Inputs ``"refused"`` and ``"accepted"``.
    """
    strategy, take, documented = SURFACES[surface]
    counts: Counter[str] = Counter()

    @seed(1)
    @settings(
        max_examples=examples,
        database=None,
        deadline=_DEADLINE_MILLISECONDS,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def throw(value: Any) -> None:
        try:
            take(value)
        except documented:
            counts["refused"] += 1
        else:
            counts["accepted"] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        throw()
    return counts


def malformed(examples: int = 1_000) -> list[Outcome]:
    """`examples` inputs in all, spread over `SURFACES`."""
    each = -(-examples // len(SURFACES))
    outcomes = []
    for surface in SURFACES:
        try:
            counts, remark = attack(surface, each), ""
        except Exception as error:  # the finding of this benchmark
            counts, remark = Counter(), f"{type(error).__name__}: {error}"[:200]
        good = sum(counts.values())
        remark = remark or ", ".join(f"{n} {what}" for what, n in sorted(counts.items()))
        tried = max(good, each)
        outcomes.append(Outcome(what=surface, tried=tried, good=good, remark=remark))
    return outcomes
