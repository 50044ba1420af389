"""Light profiles against what defines them, and the bases against direct formulas."""

import numpy as np
import pytest
from scipy.integrate import quad

from demo.light import SOURCE_SIGMAS, CoredSersic, GaussianSource, Sersic, lens_basis


@pytest.mark.parametrize("index", [1.0, 3.0])
def test_half_of_the_light_is_within_the_effective_radius(index):
    profile = Sersic(intensity=2.0, effective_radius=0.6, sersic_index=index)

    def ring(radius):
        return radius * float(profile.image(0.0, radius))

    assert profile.image(0.0, 0.6) == pytest.approx(2.0, rel=1e-4)
    half = quad(ring, 0, 0.6)[0]
    assert half / (half + quad(ring, 0.6, 60.0)[0]) == pytest.approx(0.5, abs=2e-3)


def test_cored_profile_is_a_power_law_inside_and_sersic_outside():
    shape = {"effective_radius": 0.1, "sersic_index": 1.0}
    cored, plain = CoredSersic(intensity=4.0, **shape), Sersic(intensity=4.0, **shape)
    inside = np.log(cored.image(0.0, 2e-4) / cored.image(0.0, 1e-4)) / np.log(2)
    assert inside == pytest.approx(-0.25, abs=1e-3)
    outside = [float(np.log(p.image(0.0, 0.5) / p.image(0.0, 0.4))) for p in (cored, plain)]
    assert outside[0] == pytest.approx(outside[1], rel=1e-3)
    # By definition the intensity is the brightness at the break radius.
    assert cored.image(0.0, CoredSersic.radius_break) == pytest.approx(4.0, rel=1e-4)


def test_source_basis_is_gaussians_of_the_stated_sizes():
    y, x = np.random.default_rng(0).uniform(-0.3, 0.3, (2, 5))
    round_source = GaussianSource(centre=(0.05, -0.1))
    square = (y - 0.05) ** 2 + (x + 0.1) ** 2
    expected = [np.exp(-0.5 * square / sigma**2) for sigma in SOURCE_SIGMAS]
    np.testing.assert_allclose(round_source.basis(y, x), expected, rtol=1e-2, atol=1e-12)


def test_lens_basis_holds_a_faintly_elliptical_gaussian():
    y, x = np.mgrid[-2:2:41j, -2:2:41j]
    target = np.exp(-0.5 * ((0.97 * (x - 0.02)) ** 2 + (y + 0.01) ** 2))
    columns = lens_basis(y, x).reshape(-1, y.size).T
    amplitudes = np.linalg.lstsq(columns, target.ravel(), rcond=1e-10)[0]
    assert np.abs(columns @ amplitudes - target.ravel()).max() < 1e-4
