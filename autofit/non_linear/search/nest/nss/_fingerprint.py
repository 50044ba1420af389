"""What two runs must share for one to go on from the saved state of the other."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from typing import Any

import jax
import numpy as np
from pydantic import BaseModel, ConfigDict

from autofit.mapper import AbstractPriorModel
from autofit.non_linear.search.nest.nss._rows import RowLayout

_PROBES = 8

_TOLERANCES = {"float64": 1e-6, "float32": 1e-4}
"""Largest relative difference of the probes of the same data; lower precisions as float32.

Another chunk size or device may round them differently: by 2e-5 in float32, the largest that was
seen. Another noise of the same image changes a chi-squared of 1e8 by 3e-4 of it.
"""


class Fingerprint(BaseModel):
    """A fit, as far as its chain depends on it.

    Attributes
    ----------
    search
        Options that determine the chain, with the seed.
    model
        The model with its priors, as JSON.
    arrays
        Type and shape of every array of the state.
    probes
        Highest log likelihoods among the live points that the seed draws from the prior, falling.
        They depend on the data, which nothing else here does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    search: dict[str, Any]
    model: dict[str, Any]
    arrays: dict[str, str]
    probes: tuple[float, ...]

    @classmethod
    def of(
        cls,
        search: dict[str, Any],
        model: AbstractPriorModel,
        layout: RowLayout,
        log_likelihoods: Any,
    ) -> Fingerprint:
        """The fingerprint of a fit.

        Parameters
        ----------
        search
            JSON-able.
        model
            The model that is fitted.
        layout
            Of the state.
        log_likelihoods
            Of the freshly drawn live points, shape ``(n_live,)``.
        """
        highest = np.sort(np.asarray(log_likelihoods, np.float64))[::-1][:_PROBES]
        return cls(
            search=json.loads(json.dumps(search)),
            model=model.to_dict(),
            arrays={name: _text(layout.dtype[name]) for name in layout.dtype.names or ()},
            probes=tuple(highest.tolist()),
        )

    def differences(self, other: Fingerprint, precision: str) -> list[str]:
        """What is different in `other`, in words; empty when it is the same fit.

        Log likelihoods are compared with a tolerance that is relative, and absolute below 1.

        Parameters
        ----------
        precision
            The shortest floating-point type in which the log likelihood computes.
        """
        differences = [
            text
            for part in ("search", "model", "arrays")
            for text in _differences(part, getattr(self, part), getattr(other, part))
        ]
        if not differences and not self._has_probes_of(other, precision):
            differences = [
                "the log likelihoods of the first live points differ, the highest of them from "
                f"{max(self.probes, default=None)!r} to {max(other.probes, default=None)!r}: other "
                "data, or another likelihood"
            ]
        return differences

    def _has_probes_of(self, other: Fingerprint, precision: str) -> bool:
        mine, theirs = np.array(self.probes), np.array(other.probes)
        if mine.shape != theirs.shape:
            return False
        with np.errstate(invalid="ignore"):  # inf - inf
            distance = np.abs(mine - theirs)
        size = np.maximum(np.maximum(np.abs(mine), np.abs(theirs)), 1.0)
        tolerance = _TOLERANCES.get(precision, _TOLERANCES["float32"])
        near = distance <= tolerance * np.where(np.isfinite(size), size, 0.0)
        return bool(np.all((mine == theirs) | near))


@cache
def versions() -> dict[str, str]:
    """What may change the bits of a chain: the software that computes it, and the device."""
    packages = {name: version(name) for name in ("jax", "jaxlib", "blackjax", "numpy")}
    return {**packages, "device": jax.devices()[0].device_kind}


def _text(dtype: np.dtype) -> str:
    return f"{dtype.base}{list(dtype.shape)}"


def _differences(name: str, was: Any, now: Any) -> Iterator[str]:
    if isinstance(was, dict) and isinstance(now, dict):
        for key in sorted({*was, *now}):
            yield from _differences(f"{name}.{key}", was.get(key, "absent"), now.get(key, "absent"))
    elif was != now:
        yield f"{name} was {reprlib.repr(was)} and is {reprlib.repr(now)}"
