"""Pictures of a fit: data, model, residuals and source in four panels, and a corner plot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from autofit.non_linear.corner import corner
from autofit.non_linear.samples import Samples
from demo.likelihood import Reconstruction

RESIDUAL_LIMIT = 4.0


def draw_reconstruction(images: Reconstruction, filename: str | Path) -> None:
    """Draw data, model, normalised residuals and the source plane to a PNG file.

    Parameters
    ----------
    images
        What to draw.
    filename
        The file to write.
    """
    brightest = float(np.nanmax(images.data))
    light = {"cmap": "magma", "vmin": 0.0, "vmax": brightest}
    panels = (
        ("Data", images.data, images.image_extent, light),
        ("Model", images.model, images.image_extent, light),
        (
            "Residuals / noise",
            images.residuals,
            images.image_extent,
            {"cmap": "RdBu_r", "vmin": -RESIDUAL_LIMIT, "vmax": RESIDUAL_LIMIT},
        ),
        ("Source plane", images.source, images.source_extent, {"cmap": "magma"}),
    )
    figure = Figure(figsize=(11.0, 9.0), layout="constrained")
    for axes, (title, image, extent, colours) in zip(
        figure.subplots(2, 2).flat, panels, strict=True
    ):
        # Row 0 is the top, as in `demo.imaging`.
        drawn = axes.imshow(image, origin="upper", extent=extent, **colours)
        axes.set(title=title, xlabel="x (arcsec)", ylabel="y (arcsec)")
        figure.colorbar(drawn, ax=axes)
    _save(figure, filename)


def draw_corner(samples: Samples, filename: str | Path) -> None:
    """Draw the posterior of every parameter and pair of parameters to a PNG file.

    Parameters
    ----------
    samples
        Weighted samples of a fit.
    filename
        The file to write.
    """
    Path(filename).parent.mkdir(parents=True, exist_ok=True)
    corner(samples, filename)


def _save(figure: Figure, filename: str | Path) -> None:
    Path(filename).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(filename, dpi=120)
