"""Cells by the name of an instrument or of a folder: a log likelihood and an example for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cells.imaging import RADIUS, MaskedImaging
from benchmarks.cells.lens_model import FlatPriors

Factory = Callable[..., tuple[Callable, np.ndarray]]


def simulated(
    cell: Callable[..., Callable], priors: FlatPriors, truth: np.ndarray, name: str, **options: Any
) -> tuple[Callable, np.ndarray]:
    """`cell` of the simulated image of an instrument, and the truth in the unit cube."""
    return cell(MaskedImaging.simulated(name), **options), priors.unit(truth)


def from_folder(
    cell: Callable[..., Callable],
    priors: FlatPriors,
    folder: str | Path,
    radius: float = RADIUS,
    **options: Any,
) -> tuple[Callable, np.ndarray]:
    """`cell` of the FITS files in a folder, and the middle of the unit cube.

    Light of the lens is not modelled; it has to be subtracted from the data beforehand.
    """
    middle = np.full(len(priors.names), 0.5)
    return cell(MaskedImaging.from_folder(folder, radius), **options), middle


def by_instrument(factory: Factory, *arguments: Any) -> tuple[Factory, ...]:
    """`factory` for small, euclid, hst, jwst and ao, in this order."""
    names = ("small", "euclid", "hst", "jwst", "ao")
    return tuple(partial(factory, name, *arguments) for name in names)
