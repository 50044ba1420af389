"""Work areas on a CPU: predicted against what a fresh process really grows by."""

import jax
import jax.numpy as jnp
import pytest

from autofit_memplan._cpu_scratch import cpu_scratch_bytes
from autofit_memplan.measure import Job, measure

MIB = 2**20

MODULE = """
import jax.numpy as jnp
import numpy as np

stack = np.random.default_rng(0).normal(size=(60, 180, 180))
square = stack[:32].reshape(1440, 720)[:720]

def made(x):
    return stack * x[0] + x[1]

def there_and_back(x):  # a copy of what goes into the transform back
    return jnp.sum(jnp.fft.irfft2(2 * jnp.fft.rfft2(made(x)), s=(180, 180)) ** 2)

def cholesky(x):
    return jnp.sum(jnp.linalg.cholesky(square @ square.T * x[0] + 720 * jnp.eye(720)))

def one_long_line(x):
    return jnp.sum(jnp.abs(jnp.fft.rfft(made(x).reshape(-1))))

def sort(x):
    return jnp.sum(jnp.argsort(made(x).reshape(-1))[::7] * x[0])

def sort_short_rows(x):
    return jnp.sum(jnp.sort(made(x), axis=-1)[..., ::7])

def product(x):  # of two matrices made on the spot
    return jnp.sum((square * x[0]) @ (square + x[1]) ** 2)
"""


@pytest.fixture(autouse=True)
def written(tmp_path, monkeypatch):
    (tmp_path / "cpu_scratch_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("there_and_back", 1.05),
        ("cholesky", 1.1),
        ("one_long_line", 1.4),
        ("sort", 1.4),
        ("sort_short_rows", 1.05),
        ("product", 1.15),
    ],
)
def test_the_peak_is_predicted(name, most):
    _, batch = measure(Job(f"cpu_scratch_module:{name}", 2, "float64", None, 4))
    assert batch.measured_bytes <= batch.predicted_bytes + 12 * MIB
    assert batch.predicted_bytes <= most * batch.measured_bytes + 4 * MIB


def there_and_back(x):
    return jnp.sum(jnp.fft.irfft2(2 * jnp.fft.rfft2(x)) ** 2)


def in_a_loop(images):
    return jax.lax.map(there_and_back, images)


@pytest.mark.parametrize(
    ("fn", "shape", "copies"),
    [
        (there_and_back, (9, 128, 128), 1),
        (in_a_loop, (5, 9, 128, 128), 3),  # each of three threads comes round to it
        (in_a_loop, (5, 400, 128, 128), 1),  # above 32 MiB it is given back
    ],
)
def test_each_thread_keeps_the_copies_of_a_loop(fn, shape, copies):
    with jax.enable_x64(True):
        text = jax.jit(fn).lower(jnp.zeros(shape)).compile().as_text()
    one = shape[-3] * 128 * 65 * 16
    assert copies * one <= cpu_scratch_bytes(text, threads=3) <= 1.02 * copies * one + 2**18
