"""Identifiers: stable where the fit is the same, different where it is not."""

import enum
import functools
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units
from composed_classes import Line, Spot

from autofit.mapper import (
    Collection,
    GaussianPrior,
    Model,
    ModelError,
    TruncatedGaussianPrior,
    UniformPrior,
    identifier_for,
)

SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import numpy as np
from composed_classes import Line, Spot
from autofit.mapper import *
for _ in range({waste}):
    UniformPrior()
a = Model(Line, slope=UniformPrior(0.0, 2.0), offset=TruncatedGaussianPrior(0.0, 1.0, 0.0))
b = Model(Spot, centre=(0.0, a.slope), flux=1.5, tag=frozenset({{"x", "y", "z"}}))
model = Collection(a=a, b=b, c=np.arange(6.0).reshape(2, 3))
model.add_assertion(a.slope > a.offset)
print(identifier_for(model, {{"n_live": 200, "seed": 1}}, "tag", {{"p", "q", "r"}}))
"""


def _from_process(hash_seed, waste):
    here = Path(__file__).parent
    environment = dict(os.environ, PYTHONHASHSEED=hash_seed, JAX_PLATFORMS="cpu")
    environment["PYTHONPATH"] = str(here.parents[2])
    script = SCRIPT.format(tests=str(here), waste=waste)
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=100
    )
    return done.stdout.strip()


def test_stable_between_processes():
    first = _from_process("1", waste=0)
    assert first == _from_process("2", waste=17)
    assert len(first) == 32
    assert int(first, 16) >= 0


def _model(upper=1.0, flux=2.0, linked=False, kind=Line, extra=()):
    first, second = UniformPrior(0.0, upper), UniformPrior(0.0, 1.0)
    line = Model(kind, slope=first, offset=first if linked else second)
    return Collection(line=line, spot=Model(Spot, centre=(0.0, second), flux=flux, tag=extra))


def _with_flux_of(factor):
    model = _model()
    model.spot.flux = factor * model.line.slope
    return model


class OtherLine(Line):
    """The same arguments under another name."""


def test_ids_do_not_matter():
    assert identifier_for(_model()) == identifier_for(_model())


def test_everything_else_does():
    asserted = _model()
    asserted.add_assertion(asserted.line.slope < asserted.line.offset)
    swapped = _model()
    swapped.line.slope = UniformPrior(0.0, 1.0)  # the same priors, in another parameter order
    models = [
        _model(),
        _model(upper=1.5),
        _model(flux=2.5),
        _model(linked=True),
        _model(kind=OtherLine),
        _model(extra=np.zeros(3)),
        _model(extra=np.zeros(3, dtype=np.float32)),
        _model(extra=np.array([0.0, 0.0, 1.0])),
        _model(extra=Line(1.0, 2.0)),
        _model(extra=Line(1.0, 3.0)),
        _model(flux=GaussianPrior(0.0, 1.0)),
        asserted,
        swapped,
        *(_with_flux_of(factor) for factor in (2.0, 3.0)),
    ]
    identifiers = [identifier_for(model) for model in models]
    identifiers += [identifier_for(models[0], 1), identifier_for(1, models[0])]
    assert len(set(identifiers)) == len(identifiers)


def test_description_is_json_and_round_trips():
    model = _model(flux=TruncatedGaussianPrior(0.0, 1.0, lower_limit=0.0), extra=jnp.arange(3))
    described = model.to_dict()
    text = json.dumps(described, allow_nan=False)
    assert json.loads(text) == described
    line = described["items"]["line"]
    assert line["class_path"] == "composed_classes.Line"
    assert line["items"]["slope"] == {
        "type": "UniformPrior",
        "parameter": 1,  # the prior of the flux was created before it
        "lower_limit": 0.0,
        "upper_limit": 1.0,
    }
    assert described["items"]["spot"]["items"]["flux"]["upper_limit"] == "inf"


def test_jax_and_numpy_arrays_of_equal_content_are_equal():
    assert identifier_for(np.arange(4.0)) == identifier_for(jnp.arange(4.0))
    assert identifier_for(np.float64(0.1)) == identifier_for(0.1)


def test_masks_and_units_tell_arrays_apart():
    pixels = np.arange(4.0)
    values = [
        pixels,
        np.ma.array(pixels, mask=[0, 0, 0, 1]),
        np.ma.array(pixels, mask=[0, 0, 1, 1]),
        pixels * units.kpc,
        pixels * units.pc,
        1.0 * units.kpc,
        1.0 * units.pc,
        1.0,
    ]
    assert len({identifier_for(value) for value in values}) == len(values)
    assert identifier_for(1.0 * units.kpc) == identifier_for(1.0 * units.Unit("kpc"))


class Colour(enum.IntEnum):
    RED = 1


def test_values_that_json_does_not_know():
    values = [Colour.RED, 1, math.inf, math.nan, b"a", b"b", 1j, Path("a"), Line, len, {1: 2}, {2}]
    identifiers = [identifier_for(value) for value in values]
    assert len(set(identifiers)) == len(values)
    loop = Line(1.0, None)
    loop.offset = loop
    assert identifier_for(loop) == identifier_for(loop)


def _moffat(r, beta):
    return (1 + r) ** -beta


def _with_beta(beta):
    def profile(r):
        return _moffat(r, beta)

    return profile


class Hidden:
    def __init__(self, value):
        self._value = value


def test_functions_that_hold_something_differ_by_it():
    values = [
        *(functools.partial(_moffat, beta=beta) for beta in (2.5, 4.5)),
        *(_with_beta(beta) for beta in (2.5, 4.5)),
        *(lambda r: r**2, lambda r: r**3, lambda r: -(r**2)),
        *(Line(slope, 0.0).__call__ for slope in (1.0, 2.0)),
        *(Hidden(value) for value in (1.0, 2.0)),
        _moffat,
    ]
    identifiers = [identifier_for(value) for value in values]
    assert len(set(identifiers)) == len(values)
    assert identifier_for(_with_beta(2.5)) == identifiers[2]
    assert identifier_for(Hidden(1.0)) == identifiers[-3]


def test_function_models_differ_by_what_the_functions_hold():
    def profile_of(beta, anything):
        def profile(r, flux):
            return flux * _moffat(r, beta) if anything else 0.0

        return profile

    functions = [profile_of(2.5, UNKNOWN), profile_of(4.5, UNKNOWN)]
    functions += [jax.jit(function) for function in functions]
    models = [Model(function, r=1.0, flux=UniformPrior()) for function in functions]
    identifiers = [identifier_for(model) for model in models]
    assert len(set(identifiers[:2])) == len(set(identifiers[2:])) == 2
    again = Model(profile_of(2.5, UNKNOWN), r=1.0, flux=UniformPrior())
    assert identifier_for(again) == identifiers[0]
    assert len({identifier_for(function) for function in functions[2:]}) == 2
    assert identifier_for(jax.jit(lambda r: r**2)) != identifier_for(jax.jit(lambda r: r**3))


UNKNOWN = object()


class Psf:
    def __init__(self, kernel):
        self.kernel = kernel

    @functools.cached_property
    def sum(self):
        return float(np.sum(self.kernel))


def test_a_cached_property_changes_nothing():
    psf = Psf(np.ones(3))
    before = identifier_for(psf)
    assert psf.sum == 3.0
    assert identifier_for(psf) == before != identifier_for(Psf(np.zeros(3)))


def test_defaults_that_the_constructor_keeps_are_part_of_it():
    def kind(n_pixels):
        class Spotted:
            def __init__(self, flux, order: int = n_pixels, anything=UNKNOWN):
                pass

        return Model(Spotted, flux=UniformPrior())

    assert identifier_for(kind(30)) == identifier_for(kind(30)) != identifier_for(kind(40))


def test_what_cannot_be_told_apart_is_refused():
    for value in (object(), np.array([object()])):
        with pytest.raises(ModelError, match=r"cannot be described|content that can be compared"):
            identifier_for(value)
