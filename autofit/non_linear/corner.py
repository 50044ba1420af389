"""A corner plot of weighted samples, with anesthetic and matplotlib where they are installed."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import numpy as np

from autofit.non_linear.atomic_file import replace_on_success
from autofit.non_linear.samples import Samples


def corner(
    samples: Samples, filename: str | os.PathLike[str], inches_per_panel: float = 2.0
) -> None:
    """Draw the one- and two-dimensional marginal posteriors to a PNG file.

    Densities are anesthetic's kernel estimates of the weighted samples.

    Parameters
    ----------
    samples
        The weighted samples.
    filename
        The PNG file to write; replaced atomically.
    inches_per_panel
        Width and height of one panel, in inches.

    Raises
    ------
    ImportError
        When anesthetic or matplotlib is not installed.
    ValueError
        When too few samples have weight, or a parameter has one value only: there is no density.
    """
    anesthetic: Any = _extra("anesthetic")
    figure_module: Any = _extra("matplotlib.figure")

    kept = samples.weights > 0
    values = samples.parameters[kept]
    n_samples, n_dim = values.shape
    if n_samples < n_dim + 2 or (np.ptp(values, axis=0) == 0).any():
        raise ValueError(
            f"{n_samples} samples with weight, of which some parameter may have one value only, "
            f"are too few to draw the density of {n_dim} parameters. Let the search run longer, or "
            "fix the parameter."
        )
    names = samples.model.parameter_names
    chains = anesthetic.MCMCSamples(data=values, weights=samples.weights[kept], columns=names)
    # A figure of its own, not pyplot's: the user's backend and open figures are left alone.
    size = inches_per_panel * max(n_dim, 2)
    figure = figure_module.Figure(figsize=(size, size))
    _, axes = anesthetic.make_2d_axes(names, fig=figure, upper=False)
    chains.plot_2d(axes)
    with replace_on_success(filename) as temporary:
        figure.savefig(temporary, format="png", dpi=150, bbox_inches="tight")


def _extra(module: str) -> Any:
    """A module of the `demo` extra; imported here because the package has to work without it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"a corner plot needs {module.split('.')[0]}, which is not installed ({error}). "
            "Install the extra: pip install 'autofit-nss[demo]'."
        ) from error
