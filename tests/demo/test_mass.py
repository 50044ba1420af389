"""Deflection angles against the convergence they come from, and against known limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from demo.mass import ExternalShear, Isothermal, to_ellipse_frame

POINTS = np.random.default_rng(3).uniform(-2.0, 2.0, (12, 2))
LENS = Isothermal(centre=(0.1, -0.2), ell_comps=(0.12, -0.07), einstein_radius=1.4)


def jacobian(mass, point):
    """Derivatives of the (y, x) deflection by (y, x)."""
    return np.asarray(jax.jacfwd(lambda p: jnp.stack(mass.deflections(p[0], p[1])))(point))


@pytest.mark.parametrize("point", POINTS)
def test_divergence_of_isothermal_is_twice_its_convergence(point):
    # Axis ratio and angle written out here, apart from the code under test.
    modulus = np.hypot(*LENS.ell_comps)
    q = (1 - modulus) / (1 + modulus)
    phi = 0.5 * np.arctan2(LENS.ell_comps[0], LENS.ell_comps[1])
    dy, dx = point - np.array(LENS.centre)
    major = np.cos(phi) * dx + np.sin(phi) * dy
    minor = np.cos(phi) * dy - np.sin(phi) * dx
    convergence = LENS.einstein_radius / (1 + q) / np.hypot(major, minor / q)

    derivatives = jacobian(LENS, point)

    assert np.trace(derivatives) == pytest.approx(2 * convergence, rel=1e-10)
    # A deflection is the gradient of a potential: it has no curl.
    assert derivatives[0, 1] == pytest.approx(derivatives[1, 0], abs=1e-12)


def test_isothermal_agrees_with_the_integral_over_its_convergence():
    """Schramm's (1990) integral for elliptical mass: quadrature instead of the closed form."""
    y, x, q = 0.7, 1.1, 0.8
    modulus = (1 - q) / (1 + q)
    lens = Isothermal(ell_comps=(0.0, modulus), einstein_radius=1.3)

    def integrand(u, power):
        squeeze = 1 - (1 - q**2) * u
        radius = np.sqrt(u * (x**2 + y**2 / squeeze))
        return 1.3 / (1 + q) / radius / squeeze ** (power + 0.5)

    expected = (
        q * y * quad(integrand, 0, 1, args=(1,))[0],
        q * x * quad(integrand, 0, 1, args=(0,))[0],
    )
    np.testing.assert_allclose(lens.deflections(y, x), expected, rtol=1e-8)


def test_round_lens_deflects_by_its_einstein_radius():
    lens = Isothermal(einstein_radius=1.6)
    for y, x in POINTS:
        radius = np.hypot(y, x)
        np.testing.assert_allclose(
            lens.deflections(y, x), (1.6 * y / radius, 1.6 * x / radius), rtol=1e-4
        )


def test_lens_is_finite_at_its_centre():
    assert np.all(np.isfinite(Isothermal().deflections(0.0, 0.0)))


def test_shear_matrix_is_the_textbook_one():
    shear = ExternalShear(gamma_1=0.05, gamma_2=-0.03)
    np.testing.assert_allclose(
        jacobian(shear, np.array([0.4, -1.0])), [[-0.05, -0.03], [-0.03, 0.05]], atol=1e-15
    )


def test_elliptical_components_give_axis_ratio_and_angle():
    """An ellipse with axis ratio 0.6 whose long axis points 30 degrees above the x axis."""
    modulus, angle = 0.4 / 1.6, np.radians(30.0)
    ell_comps = (modulus * np.sin(2 * angle), modulus * np.cos(2 * angle))
    minor, major, q, _, _ = to_ellipse_frame(
        np.sin(angle), np.cos(angle), centre=(0.0, 0.0), ell_comps=ell_comps
    )
    assert q == pytest.approx(0.6)
    assert (float(minor), float(major)) == pytest.approx((0.0, 1.0), abs=1e-12)
