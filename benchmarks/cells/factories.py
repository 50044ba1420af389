"""Cells by the name of an instrument or of a folder: a log likelihood and an example for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cells.imaging import RADIUS, MaskedImaging
from benchmarks.cells.instruments import INSTRUMENTS, simulated
from benchmarks.cells.priors import FlatPriors

Cell = Callable[..., Callable]
"""``(imaging, **options) -> log-likelihood of a point of the unit cube``."""

Factory = Callable[[], tuple[Callable, np.ndarray]]
"""Of a log-likelihood and a point of the unit cube to begin with, as ``memplan plan`` takes it."""


def by_instrument(
    cell: Cell,
    priors: FlatPriors,
    truth: np.ndarray,
    of_small: Mapping[str, Any] | None = None,
    **options: Any,
) -> tuple[Factory, ...]:
    """Factories of small, euclid, hst, jwst and ao, in this order, each with the truth as example.

    Parameters
    ----------
    cell
        Of a source model.
    priors
        Of its parameters.
    truth
        What was simulated, shape (n_dim,).
    of_small
        Options of `cell` for `small` alone.
    options
        Options of `cell`.
    """

    def of(instrument: str, options: Mapping[str, Any]) -> tuple[Callable, np.ndarray]:
        return cell(simulated(instrument), **options), priors.unit(truth)

    small = options | dict(of_small or {})
    return tuple(partial(of, name, small if name == "small" else options) for name in INSTRUMENTS)


def from_folder(
    cell: Cell, priors: FlatPriors, folder: str | Path, radius: float = RADIUS, **options: Any
) -> tuple[Callable, np.ndarray]:
    """`cell` of the FITS files in a folder, and the middle of the unit cube.

    Light of the lens is not modelled; it has to be subtracted from the data beforehand.

    Parameters
    ----------
    cell
        Of a source model.
    priors
        Of its parameters.
    folder, radius
        See `MaskedImaging.from_folder`.
    options
        Options of `cell`.

    Raises
    ------
    FileNotFoundError, ValueError
        See `MaskedImaging.from_folder`.
    """
    middle = np.full(len(priors.names), 0.5)
    return cell(MaskedImaging.from_folder(folder, radius), **options), middle
