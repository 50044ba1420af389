"""Four sine waves seen by a slow detector: heavy enough to be planned, and of known evidence.

Every call blurs its model of 4,096 samples in Fourier space, and holds about 100 kB while it does.
The evidence is relative to "no signal at all", so that the numbers stay small.
"""

import jax

jax.config.update("jax_enable_x64", True)  # before the first array is made

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

N_DIM, N_SAMPLES, SIGMA, HALF_WIDTH = 4, 4096, 4.5, 1.0  # amplitudes between -1 and 1

WAVES = np.sin(2 * np.pi * np.linspace(0.0, 1.0, N_SAMPLES)[:, None] * np.array([3, 5, 8, 13]))
RESPONSE = 1 / (1 + (np.fft.rfftfreq(N_SAMPLES, 1 / N_SAMPLES) / 20) ** 2)
BLURRED = np.fft.irfft(RESPONSE[:, None] * np.fft.rfft(WAVES, axis=0), axis=0)
NOISE = np.random.default_rng(1).normal(0.0, SIGMA, N_SAMPLES)
DATA = BLURRED @ np.array([0.4, -0.3, 0.2, 0.1]) + NOISE
WITHOUT_SIGNAL = -0.5 * np.sum((DATA / SIGMA) ** 2)


def log_likelihood(amplitudes):
    """Of one vector of amplitudes, shape ``(N_DIM,)``."""
    model = jnp.fft.irfft(RESPONSE * jnp.fft.rfft(WAVES @ amplitudes))
    return -0.5 * jnp.sum(((DATA - model) / SIGMA) ** 2) - WITHOUT_SIGNAL


def log_prior(amplitudes):
    """Uniform in the box."""
    inside = jnp.all(jnp.abs(amplitudes) < HALF_WIDTH)
    return jnp.where(inside, -N_DIM * jnp.log(2 * HALF_WIDTH), -jnp.inf)


def from_unit_cube(unit):
    return HALF_WIDTH * (2 * unit - 1)


def log_evidence():
    """The Gaussian integral, for the box holds all but a millionth of it."""
    precision, slope = BLURRED.T @ BLURRED / SIGMA**2, BLURRED.T @ DATA / SIGMA**2
    height = 0.5 * slope @ np.linalg.solve(precision, slope)
    width = -0.5 * np.linalg.slogdet(precision / (2 * np.pi))[1]
    return height + width - N_DIM * np.log(2 * HALF_WIDTH)


def show(plan, log_z, error):
    calls = plan.calls
    print(f"{calls.n} calls, {calls.chunk_size} at once: {calls.predicted_bytes} bytes")
    print(f"log Z = {log_z:.3f} +- {error:.3f}, analytic {log_evidence():.3f}")
