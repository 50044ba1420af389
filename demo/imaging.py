"""Imaging of a lens on disk and in memory: three FITS files and a pixel scale."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.io import fits


@dataclass(frozen=True, eq=False)
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
        When shapes do not match, the PSF has an even side or holds no light, or a pixel no width.
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
        if self.data.ndim != 2 or self.psf.ndim != 2:
            raise ValueError(
                f"The data have shape {self.data.shape} and the PSF {self.psf.shape}. Both have to "
                "be images, of rows and columns."
            )
        if any(side % 2 == 0 for side in self.psf.shape):
            raise ValueError(
                f"The PSF has shape {self.psf.shape}, so it has no central pixel. "
                "Cut or resample it to an odd number of pixels on each side."
            )
        if not 0 < self.psf.sum() < np.inf:
            raise ValueError(
                f"The sum of the PSF is {self.psf.sum()}, but it should be a positive number. "
                "Look for NaN in it, or a background that was subtracted twice."
            )
        if not 0 < self.pixel_scale < np.inf:
            raise ValueError(
                f"The side of a pixel is {self.pixel_scale} arcseconds; give its size."
            )

    def require_usable(self, pixels: np.ndarray) -> None:
        """Refuse data that cannot be fitted; what lies elsewhere may be anything.

        Parameters
        ----------
        pixels
            Which pixels are to be fitted, of the shape of the data.

        Raises
        ------
        ValueError
            When one of them has no data, or a noise that is no positive number.
        """
        has_noise = (self.noise_map > 0) & np.isfinite(self.noise_map)
        bad = np.argwhere(pixels & ~(np.isfinite(self.data) & has_noise))
        if len(bad):
            row, column = bad[0]
            raise ValueError(
                f"{len(bad)} of the {pixels.sum()} pixels to be fitted have data that are no "
                "number or a noise that is no positive one, the first in row "
                f"{row}, column {column} (data {self.data[row, column]}, noise "
                f"{self.noise_map[row, column]}). Give bad pixels "
                "data of 0 and a noise a million times that of the others, or choose radii that "
                "leave them out."
            )

    @classmethod
    def load(cls, folder: str | Path) -> Imaging:
        """Read `data.fits`, `noise_map.fits` and `psf.fits` from a folder.

        Parameters
        ----------
        folder
            The folder. An image is the first that its file holds. The header of the data gives the
            pixel scale, as PIXSCAY.

        Raises
        ------
        FileNotFoundError
            When a file is missing.
        ValueError
            When the header has no PIXSCAY, or the arrays do not belong together. Pixels are looked
            at by what cuts out those to be fitted, see `require_usable`.
        """
        read = [_read(Path(folder) / f"{name}.fits") for name in ("data", "noise_map", "psf")]
        (data, scale), (noise_map, _), (psf, psf_scale) = read
        if scale is None:
            raise ValueError(
                f"{Path(folder) / 'data.fits'} has no PIXSCAY in its header, so the pixel scale is "
                "unknown. Add the side of a pixel in arcseconds under that name."
            )
        if psf_scale is not None and not np.isclose(psf_scale, scale):
            raise ValueError(
                f"By their PIXSCAY, pixels of the data are {scale} arcseconds wide and those of "
                f"the PSF {psf_scale}. Resample the PSF to the pixels of the data."
            )
        as_read = cls(data, noise_map, psf, scale)
        return replace(as_read, psf=psf / psf.sum())

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


def _read(path: Path) -> tuple[np.ndarray, float | None]:
    """The first image of a file, and PIXSCAY of its header or else of the file's first."""
    image, header = fits.getdata(path, header=True)
    scale = header.get("PIXSCAY", fits.getheader(path).get("PIXSCAY"))
    return np.asarray(image, dtype=float), None if scale is None else float(scale)


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
