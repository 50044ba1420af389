"""What is read off a traced program; nothing is compiled or allocated here."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import io_callback

from autofit_memplan.jaxprs import (
    constant_bytes,
    elements_computed,
    equations,
    findings,
    lowest_precision,
)


def trace(fn, *shapes, dtype=jnp.float32):
    return jax.jit(fn).trace(*(jax.ShapeDtypeStruct(shape, dtype) for shape in shapes)).jaxpr


def in_scan(x, constant):
    return jax.lax.scan(lambda total, _: (total + (x * constant).sum(), None), 0.0, length=3)[0]


def in_jit(x, constant):
    return jax.jit(lambda y: (y * constant).sum())(x)


def in_cond(x, constant):
    return jax.lax.cond(
        x[0] > 0, lambda: (x * constant).sum(), lambda: (x + 2 * jnp.asarray(constant)).sum()
    )


def in_vmap(x, constant):
    return jax.vmap(lambda s: (s * constant).sum())(x).sum()


def in_all(x, constant):
    return sum(fn(x, constant) for fn in (in_scan, in_jit, in_cond, in_vmap))


@pytest.mark.parametrize("where", [in_scan, in_jit, in_cond, in_vmap, in_all])
@pytest.mark.parametrize("make", [jnp.ones, lambda n: np.ones(n, np.float32)])
def test_a_constant_counts_once_wherever_it_is_used(where, make):
    constant = make(1000)
    assert constant_bytes(trace(lambda x: where(x, constant), (1000,))) == 4000


def test_different_constants_add_up_and_arguments_are_none():
    first, second = jnp.ones(10), jnp.ones((10, 10))
    assert constant_bytes(trace(lambda x: x + first + second.sum(0) + 2 * second[0], (10,))) > 40
    assert constant_bytes(trace(lambda x: (x + first) @ second, (10,))) == 40 + 400
    assert constant_bytes(trace(lambda x, y: x + y, (10,), (10,))) == 0


def test_equations_of_loops_and_branches_are_seen():
    def fn(x):
        def body(c, _):
            return jax.lax.cond(c[0] > 0, jnp.sin, jnp.cos, c), None

        return jax.lax.scan(body, x, length=2)[0]

    names = {equation.primitive.name for equation in equations(trace(fn, (3,)))}
    assert {"scan", "cond", "sin", "cos"} <= names


def deep(x):
    for _ in range(40):  # each level calls the one below it twice: 2^40 paths, 40 programs
        x = (lambda below: jax.jit(lambda y: below(y) + below(y)))(x)
    return x


def test_shared_programs_are_read_once():
    traced = trace(deep(jax.jit(jnp.sin)), (3,))
    assert sum(equation.primitive.name == "sin" for equation in equations(traced)) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda x: jax.pure_callback(
            np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), x, vmap_method="sequential"
        ),
        lambda x: io_callback(np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), x),
        lambda x: [jax.debug.callback(lambda v: None, x), x][1],
        lambda x: [jax.debug.print("{}", x), x][1],
    ],
)
def test_calls_to_the_host_are_reported_at_any_depth(call):
    def fn(x):
        return jax.lax.scan(lambda c, _: (call(call(c)), None), x, length=2)[0]

    (finding,) = findings(trace(fn, (3,)))
    assert "host function's own memory" in finding


@pytest.mark.parametrize(("rows", "count"), [(2**15, 0), (2**16, 1)])
def test_arrays_of_2_to_the_31_elements_are_reported_once(rows, count):
    # 2^16 x 2^15 is just 2^31; nothing of that size is allocated, the trace is abstract.
    found = findings(trace(lambda x, y: (jnp.outer(x, y) + 1).sum(), (rows,), (2**15,)))
    assert len(found) == count
    if found:
        assert "2,147,483,648 elements (8.0 GiB)" in found[0]


def test_a_plain_program_has_no_findings():
    assert findings(trace(lambda x: jnp.sin(x).sum(), (3,))) == ()


def test_elements_computed_measure_the_work():
    def traced(fn):
        return jax.jit(fn).trace(jnp.ones(10)).jaxpr

    assert elements_computed(traced(lambda x: x + 1.0)) in (10, 11)  # the scalar may count
    assert elements_computed(traced(lambda x: jnp.outer(x, x))) >= 100
    assert elements_computed(traced(lambda x: jax.jit(jnp.sin)(x))) == 10
    assert elements_computed(traced(lambda x: jnp.linalg.cholesky(jnp.diag(x)))) is None
    assert elements_computed(traced(lambda x: jax.lax.fori_loop(0, 9, lambda i, y: y, x))) is None


def test_the_lowest_precision_is_found_at_any_depth():
    def inside(x):
        return jax.lax.fori_loop(0, 3, lambda i, y: jnp.sin(y), x.astype("float32")).astype(x.dtype)

    with jax.enable_x64(True):
        assert lowest_precision(trace(lambda x: 2 * x, (3,), dtype="float64")) == "float64"
        assert lowest_precision(trace(inside, (3,), dtype="float64")) == "float32"
        assert lowest_precision(trace(lambda x: x.astype("bfloat16"), (3,))) == "bfloat16"
    assert lowest_precision(trace(lambda x: x > 0, (3,))) == ""
