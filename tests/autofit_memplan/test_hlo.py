"""Library calls read off a compiled program's text."""

import jax
import jax.numpy as jnp
import pytest

from autofit_memplan._hlo import Array, library_calls

TEXT = """\
HloModule jit_f, is_scheduled=true, entry_computation_layout={(f64[8,16]{1,0})->f64[8]{0}}

%body (p: (s32[], f64[8,64,64])) -> (s32[], f64[8,64,64]) {
  %p = (s32[], f64[8,64,64]{2,1,0}) parameter(0)
  %lu.0 = (f64[8,64,64]{1,2,0}, s32[8,64]{1,0}, s32[8]{0}) custom-call(%p), \
custom_call_target="cusolver_getrf_ffi", operand_layout_constraints={f64[8,64,64]{1,2,0}, \
pred[3]{0}}, output_to_operand_aliasing={{0}: (0, {})}, backend_config={mhlo.backend_config = {}}
}

ENTRY %main (x: f64[8,16]) -> c128[2,4,9] {
  %wrapped.1 = f64[2,4,16]{2,1,0} fusion(%x), kind=kLoop, metadata={op_name="jit(fft)/fft (x)"}
  ROOT %fft.7 = c128[2,4,9]{2,1,0} fft(%wrapped.1), fft_type=RFFT, fft_length={4,16}
  %scalar = f32[] custom-call(), custom_call_target="__cudnn$convForward"
}
"""


def test_a_text_is_read_call_by_call():
    lu, fft, scalar = library_calls(TEXT)
    assert lu.target == "cusolver_getrf_ffi"
    assert lu.operands == (Array("f64", (8, 64, 64)), Array("pred", (3,)))
    assert lu.results == (Array("f64", (8, 64, 64)), Array("s32", (8, 64)), Array("s32", (8,)))
    assert (fft.target, fft.fft_lengths) == ("fft", (4, 16))
    assert (fft.results, fft.operands) == ((Array("c128", (2, 4, 9)),), ())
    assert scalar.target == "__cudnn$convForward"
    assert scalar.results == (Array("f32", ()),)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128", "int8", "bool"])
def test_sizes_are_those_of_numpy(dtype):
    with jax.enable_x64(True):
        example = jnp.zeros((3, 5), dtype)
    written = {"float32": "f32", "float64": "f64", "complex64": "c64", "complex128": "c128"}
    array = Array(written.get(dtype, {"int8": "s8", "bool": "pred"}.get(dtype, "")), (3, 5))
    assert array.nbytes == example.nbytes


def test_calls_in_loops_branches_and_batches_are_seen_as_they_run():
    def one(x):
        def body(carry, _):
            return jax.lax.cond(carry[0] > 0, lambda y: jnp.fft.ifft(y).real, jnp.sin, carry), None

        return jax.lax.scan(body, x, length=3)[0]

    compiled = jax.jit(jax.vmap(one)).lower(jnp.ones((7, 32))).compile()
    (call,) = library_calls(compiled.as_text())
    assert call.fft_lengths == (32,)
    assert call.results == (Array("c64", (7, 32)),)
    assert call.is_looped


def test_what_a_branch_calls_is_in_no_loop():
    def one(x):
        return jax.lax.cond(x[0] > 0, lambda y: jnp.fft.fft(y).real, jnp.sin, x)

    (call,) = library_calls(jax.jit(one).lower(jnp.ones(32)).compile().as_text())
    assert not call.is_looped


def test_large_constants_do_not_make_the_text_long():
    matrix = jnp.arange(1e6).reshape(1000, 1000)
    text = jax.jit(lambda x: jnp.fft.fft((matrix * x).sum(1))).lower(1.0).compile().as_text()
    assert len(text) < 20_000
    assert [call.target for call in library_calls(text)] == ["fft"]
