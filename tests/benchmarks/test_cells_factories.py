"""Every cell of a folder against that of the simulation that was written into it."""

import jax
import numpy as np
import pytest

from benchmarks.cells import delaunay, mge, pixelization
from benchmarks.cells.instruments import simulated
from demo.imaging import Imaging


@pytest.fixture
def folder(tmp_path):
    """The image of `small` in a frame one pixel wider than the mask, where there are no data."""
    small = simulated("small")
    inside = small.rows + 1, small.columns + 1
    data, noise_map = np.full((2, 29, 29), np.nan)
    data[inside], noise_map[inside] = small.data, small.noise
    Imaging(data, noise_map, small.psf, small.pixel_scale).save(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("module", "options"),
    [
        (mge, {}),
        (pixelization, {"side": pixelization.SMALL_SIDE}),
        (delaunay, {"n_vertices": delaunay.SMALL_VERTICES}),
    ],
    ids=["mge", "pixelization", "delaunay"],
)
def test_a_folder_is_read_as_what_was_written(folder, module, options):
    written, truth = module.small()
    read, example = module.folder_cell(folder, **options)
    expected = float(jax.jit(written)(truth))
    assert float(jax.jit(read)(truth)) == pytest.approx(expected, rel=1e-10)
    np.testing.assert_array_equal(example, np.full(len(truth), 0.5))
