"""`chunked_vmap`: `jax.vmap` in waves of at most `chunk_size` calls, with one compiled body."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from autofit_memplan.solver import balance, waves


def chunked_vmap(fn: Callable, chunk_size: int | None) -> Callable:
    """Map `fn` over the leading axis of its arguments, at most `chunk_size` calls at once.

    `jax.lax.map(fn, xs, batch_size=k)` compiles the remainder ``n % k`` as a second copy of
    `fn`. Here the ``n`` calls are cut into ``ceil(n / k)`` waves of equal width and the last
    wave is filled up with repeats of the last call, so that `fn` is compiled once.

    Parameters
    ----------
    fn
        A function of one example, traceable by JAX; arguments and results may be pytrees.
    chunk_size
        Most calls at once. ``None``, or as many as there are calls, is `jax.vmap` itself.

    Returns
    -------
    A function of the same arguments with one more leading axis of length ``n``.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> chunked_vmap(jnp.sum, chunk_size=2)(jnp.ones((5, 3)))
    Array([3., 3., 3., 3., 3.], dtype=float32)
    """

    def mapped(*args):
        n = jax.tree.leaves(args)[0].shape[0]
        if chunk_size is None or chunk_size >= n:
            return jax.vmap(fn)(*args)
        rounds, width = waves(n, chunk_size), balance(n, chunk_size)
        padded = rounds * width
        fill = jnp.minimum(jnp.arange(padded), n - 1)

        def cut(x):
            x = x if padded == n else x[fill]
            return x.reshape((rounds, width, *x.shape[1:]))

        out = jax.lax.map(lambda wave: jax.vmap(fn)(*wave), jax.tree.map(cut, args))
        return jax.tree.map(lambda y: y.reshape((padded, *y.shape[2:]))[:n], out)

    return mapped
