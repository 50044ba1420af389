"""`chunked_vmap` against `jax.vmap`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autofit_memplan import chunked_vmap

SIZES = [(n, chunk) for n in (1, 2, 5, 8) for chunk in range(1, n + 2)]


def wave(tree):
    x, scale = tree["x"], tree["scale"]
    assert tree["nothing"] is None
    return {"curve": jnp.exp(jnp.sin(x) * scale) + x / 3, "both": (x > 0, scale)}


def examples(n, dtype):
    x = np.random.default_rng(n).standard_normal((n, 3, 2)).astype(dtype)
    return {"x": x, "scale": x[:, 0, 0], "nothing": None}


def assert_same(got, expected):
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for mine, theirs in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_elementwise_functions_give_the_bits_of_vmap(dtype):
    with jax.enable_x64(True):
        for n, chunk in SIZES:
            tree = examples(n, dtype)
            got = jax.jit(chunked_vmap(wave, chunk))(tree)
            assert_same(got, jax.jit(jax.vmap(wave))(tree))


@pytest.mark.parametrize("chunk", [1, 2, 3, 5])
def test_reductions_agree_to_rounding(chunk):
    matrices = np.random.default_rng(0).standard_normal((5, 9, 9)).astype("float32")

    def fn(m):
        return jnp.linalg.slogdet(m @ m.T + jnp.eye(9))[1]

    expected = [np.linalg.slogdet(m @ m.T + np.eye(9))[1] for m in matrices.astype("float64")]
    got = jax.jit(chunked_vmap(fn, chunk))(matrices)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.parametrize("chunk", [1, 2, 5, None])
def test_typed_keys_and_several_arguments(chunk):
    keys = jax.random.split(jax.random.key(1), 5)

    def fn(key, shift):
        return jax.random.split(key)[0], jax.random.uniform(key, (3,)) + shift

    next_keys, values = chunked_vmap(fn, chunk)(keys, jnp.arange(5.0))
    expected_keys, expected = jax.vmap(fn)(keys, jnp.arange(5.0))
    np.testing.assert_array_equal(
        jax.random.key_data(next_keys), jax.random.key_data(expected_keys)
    )
    np.testing.assert_array_equal(values, expected)


def test_numpy_arguments_inside_jit():
    x = np.arange(5.0, dtype="float32")
    got = jax.jit(lambda: chunked_vmap(lambda v: 2 * v, 2)(x))()
    np.testing.assert_array_equal(got, 2 * x)


@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 7])
def test_the_body_is_compiled_once_whatever_the_remainder(chunk):
    def fn(x):
        return jnp.sort(x)

    def sorts(mapped):
        return jax.jit(mapped).lower(jnp.ones((7, 4))).as_text().count("stablehlo.sort")

    assert sorts(chunked_vmap(fn, chunk)) == 1
    with_remainder = sorts(lambda xs: jax.lax.map(fn, xs, batch_size=3))
    assert with_remainder == 2  # what this function is there to avoid


@pytest.mark.parametrize("wrong", [0, -1, True, 2.0, "auto"])
def test_a_chunk_size_that_is_none_is_refused_before_anything_is_mapped(wrong):
    with pytest.raises(ValueError, match="pass an int of at least 1, or None"):
        chunked_vmap(jnp.sum, wrong)


@pytest.mark.parametrize(
    "arguments", [(), (3.0,), (np.ones(3), np.ones(4)), (np.ones(3), 1.0), ({"a": None},)]
)
def test_arguments_without_a_common_leading_axis_are_refused(arguments):
    with pytest.raises(ValueError, match="leading axes"):
        chunked_vmap(lambda *a: a, 2)(*arguments)
