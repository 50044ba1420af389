"""Imaging of a lens on disk and in memory: three FITS files and a pixel scale."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits


@dataclass(frozen=True)
class Imaging:
    """An image, the standard deviation of its noise, and the point-spread function.

    Row 0 is the top: y falls with the row, x grows with the column, and (0, 0) is the middle of
    the array. These are PyAutoLens's arrays and the files that it writes.

    Parameters
    ----------
    data
        Shape (rows, columns), for instance in electrons per second.
    noise_map
        Standard deviation of the noise, of that shape and unit.
    psf
        Shape (odd, odd), smaller than the image. Brought to a sum of one when loaded.
    pixel_scale
        Side of a pixel in arcseconds.

    Raises
    ------
    ValueError
        When shapes do not match, the PSF has an even side, or the noise is not positive.
    """

    data: np.ndarray
    noise_map: np.ndarray
    psf: np.ndarray
    pixel_scale: float

    def __post_init__(self) -> None:
        if self.data.shape != self.noise_map.shape:
            raise ValueError(
                f"The data have shape {self.data.shape} and the noise map {self.noise_map.shape}. "
                "Give a noise map with one value for each pixel of the data."
            )
        if any(side % 2 == 0 for side in self.psf.shape):
            raise ValueError(
                f"The PSF has shape {self.psf.shape}, so it has no central pixel. "
                "Cut or resample it to an odd number of pixels on each side."
            )
        if not np.all(self.noise_map > 0):
            raise ValueError(
                f"The smallest value of the noise map is {np.min(self.noise_map)}, but a standard "
                "deviation is positive. Give bad pixels a large noise."
            )

    @classmethod
    def load(cls, folder: str | Path) -> Imaging:
        """Read `data.fits`, `noise_map.fits` and `psf.fits` from a folder.

        Parameters
        ----------
        folder
            The folder. The header of the data gives the pixel scale, as PIXSCAY.

        Raises
        ------
        FileNotFoundError
            When a file is missing.
        ValueError
            When the header has no PIXSCAY, or the arrays do not belong together.
        """
        folder = Path(folder)
        with fits.open(folder / "data.fits") as hdus:
            header = hdus[0].header
            data = np.asarray(hdus[0].data, dtype=float)
        if "PIXSCAY" not in header:
            raise ValueError(
                f"{folder / 'data.fits'} has no PIXSCAY in its header, so the pixel scale is "
                "unknown. Add the side of a pixel in arcseconds under that name."
            )
        noise_map, psf = (
            np.asarray(fits.getdata(folder / name), dtype=float)
            for name in ("noise_map.fits", "psf.fits")
        )
        return cls(data, noise_map, psf / psf.sum(), float(header["PIXSCAY"]))

    def save(self, folder: str | Path) -> None:
        """Write the three files into a folder, made if need be; existing ones are replaced.

        Parameters
        ----------
        folder
            The folder.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("data", "noise_map", "psf"):
            hdu = fits.PrimaryHDU(getattr(self, name))
            hdu.header["PIXSCAY"] = (self.pixel_scale, "arcsec per pixel, along rows")
            hdu.header["PIXSCAX"] = (self.pixel_scale, "arcsec per pixel, along columns")
            hdu.writeto(folder / f"{name}.fits", overwrite=True)


def pixel_coordinates(
    shape: tuple[int, int], pixel_scale: float, oversample: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Centres of pixels, or of their sub-pixels, about the middle of an array.

    Parameters
    ----------
    shape
        Rows and columns of the array.
    pixel_scale
        Side of a pixel in arcseconds.
    oversample
        Sub-pixels along each side of a pixel.

    Returns
    -------
    tuple of numpy.ndarray
        y and x in arcseconds, each of shape (rows * oversample, columns * oversample).
    """
    axes = [
        (np.arange(n * oversample) - (n * oversample - 1) / 2) * pixel_scale / oversample
        for n in shape
    ]
    y, x = np.meshgrid(-axes[0], axes[1], indexing="ij")
    return y, x
