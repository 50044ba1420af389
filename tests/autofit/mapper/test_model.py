"""Composition of models: what becomes a parameter, in which order, and what an instance holds."""

import copy
import pickle
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
from composed_classes import Galaxy, Line, Spot

from autofit.mapper import (
    Collection,
    GaussianPrior,
    Model,
    ModelError,
    TruncatedGaussianPrior,
    UniformPrior,
    UnsetPriorError,
)


def _line(**kwargs):
    return Model(Line, slope=UniformPrior(), offset=UniformPrior(), **kwargs)


def test_order_is_that_of_prior_creation():
    offset, slope = UniformPrior(0.0, 1.0), UniformPrior(2.0, 3.0)
    model = Model(Line, slope=slope, offset=offset)
    assert model.prior_count == 2
    assert model.priors == [offset, slope]
    assert model.paths == [("offset",), ("slope",)]
    instance = model.instance_from_vector([0.5, 2.5])
    assert (instance.offset, instance.slope) == (0.5, 2.5)


def test_linked_priors_are_one_parameter():
    model = Collection(a=_line(), b=_line())
    model.b.slope = model.a.slope
    assert model.prior_count == 3
    assert model.paths == [("a", "slope"), ("a", "offset"), ("b", "offset")]
    instance = model.instance_from_vector([1.0, 2.0, 3.0])
    assert instance.a.slope == instance.b.slope == 1.0
    assert instance.b.offset == 3.0


def test_numbers_and_objects_are_constants():
    model = _line()
    model.slope = 4.0
    assert model.prior_count == 1
    assert model.instance_from_vector([0.5]).slope == 4.0
    model = Model(Line, slope=UniformPrior(), offset=np.arange(3))
    np.testing.assert_array_equal(model.instance_from_vector([2.0]).offset, [0, 1, 2])


def test_tuples_have_elements():
    model = Model(Spot, flux=1.0)
    model.centre.centre_0 = UniformPrior(0.0, 1.0)
    model.centre_1 = UniformPrior(5.0, 6.0)
    assert model.centre_0 is model.centre.centre_0
    assert model.paths == [("centre", "centre_0"), ("centre", "centre_1")]
    assert model.parameter_names == ["centre_0", "centre_1"]
    assert model.instance_from_vector([0.5, 5.5]).centre == (0.5, 5.5)
    with pytest.raises(ModelError, match="centre_0, centre_1"):
        model.centre.centre_2 = 1.0


def test_tuple_of_constants_and_of_priors():
    model = Model(Spot, centre=(0.0, UniformPrior()), flux=2.0)
    assert model.instance_from_vector([0.7]).centre == (0.0, 0.7)
    model.centre = (1.0, 2.0)
    assert model.prior_count == 0
    assert model.centre_1 == 2.0
    assert model.instance_from_vector([]).centre == (1.0, 2.0)
    model.centre_0 = UniformPrior()
    assert model.instance_from_vector([0.3]).centre == (0.3, 2.0)


def test_defaults_that_are_no_parameters_stay_the_constructors():
    model = Model(Spot, centre=(0.0, 0.0), flux=1.0)
    assert model.order == 3
    instance = model.instance_from_vector([])
    assert instance.order == 3
    assert instance.tag is None
    model.order = 5
    assert model.instance_from_vector([]).order == 5


def test_dataclass_factories_are_left_alone():
    @dataclass
    class Record:
        value: float
        names: list = field(default_factory=list)

    first = Model(Record, value=1.0).instance_from_vector([])
    second = Model(Record, value=1.0).instance_from_vector([])
    assert first.names == []
    assert first.names is not second.names


def test_unset_arguments_are_refused_at_the_fit_and_not_before():
    model = Collection(line=Line, spot=Spot)
    assert model.prior_count == 0
    assert "not set" in model.info
    with pytest.raises(UnsetPriorError, match=r"line\.slope.*spot\.centre\.centre_0.*spot\.flux"):
        model.instance_from_vector([])
    with pytest.raises(UnsetPriorError):
        model.to_dict()


def test_default_priors_of_a_class_are_new_for_each_model():
    class Base:
        __default_priors__: ClassVar = {
            "x": UniformPrior(0.0, 2.0),
            "y_0": GaussianPrior(0.0, 1.0),
            "z": 3.0,
        }

        def __init__(self, x=0.0, y=(0.0, 0.0), z=0.0):
            self.x, self.y, self.z = x, y, z

    class Derived(Base):
        pass

    first, second = Model(Base), Model(Derived, y=(0.0, 0.0))
    assert first.x != second.x
    assert first.x.limits == second.x.limits == (0.0, 2.0)
    first.y_1 = 1.0
    assert first.instance_from_vector([1.0, 0.5]).y == (0.5, 1.0)
    assert second.instance_from_vector([1.0]).z == 3.0


def test_tuple_annotation_without_default():
    class Placed:
        def __init__(self, where: tuple[float, float]):
            self.where = where

    model = Model(Placed)
    model.where_0, model.where_1 = UniformPrior(), 2.0
    assert model.instance_from_vector([0.1]).where == (0.1, 2.0)


def test_nested_models_and_open_constructors():
    model = Collection(galaxies=Collection(lens=Model(Galaxy, redshift=0.5, mass=_line())))
    assert model.parameter_names == ["galaxies_lens_mass_slope", "galaxies_lens_mass_offset"]
    instance = model.instance_from_vector([1.0, 2.0])
    assert instance.galaxies.lens.redshift == 0.5
    assert instance.galaxies.lens.mass(3.0) == 5.0


def test_misspelt_arguments_are_refused():
    with pytest.raises(ModelError, match=r"'ofset'.*slope, offset"):
        _line(ofset=1.0)
    model = _line()
    with pytest.raises(ModelError, match="slop"):
        model.slop = 1.0
    with pytest.raises(AttributeError, match="slop"):
        _ = model.slop
    with pytest.raises(ModelError, match="Pass the class itself"):
        Model(Line(1.0, 2.0))


def test_wrong_length_is_refused():
    with pytest.raises(ModelError, match="2 parameters, but the vector has 3"):
        _line().instance_from_vector([1.0, 2.0, 3.0])


def test_unit_vector_and_back():
    model = Model(Line, slope=UniformPrior(2.0, 4.0), offset=GaussianPrior(1.0, 3.0))
    vector = model.vector_from_unit_vector([0.25, 0.5])
    np.testing.assert_allclose(vector, [2.5, 1.0])
    np.testing.assert_allclose(model.unit_vector_from_vector(vector), [0.25, 0.5])
    assert model.instance_from_prior_medians()(0.0) == pytest.approx(1.0)
    assert model.instance_from_unit_vector([0.25, 0.5]).slope == 2.5
    expected = [-np.log(2.0), -np.log(3.0 * np.sqrt(2.0 * np.pi))]
    np.testing.assert_allclose(model.log_prior_list_from_vector(vector), expected)


def test_arithmetic_of_priors_is_no_further_parameter():
    model = Collection(a=_line(), b=Model(Line, offset=0.0))
    model.b.slope = 1.0 + 2.0 * model.a.slope - model.a.offset / 2.0
    assert model.prior_count == 2
    assert model.instance_from_vector([3.0, 4.0]).b.slope == 1.0 + 2.0 * 3.0 - 4.0 / 2.0
    alone = Model(Line, slope=-(UniformPrior() ** 2), offset=0.0)
    assert alone.paths == [("slope", "prior_0")]
    assert alone.instance_from_vector([3.0]).slope == -9.0


def test_copies_are_separate_but_keep_the_parameters():
    model = Collection(a=_line())
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.priors == model.priors
        other.a.slope = 1.0
        assert (model.prior_count, other.prior_count) == (2, 1)


def test_what_is_set_on_a_shallow_copy_stays_there():
    model = _line()
    other = copy.copy(model)
    other.slope = 2.0
    other.add_assertion(other.offset > 0.5)
    assert (model.prior_count, other.prior_count) == (2, 1)
    assert model.instance_from_unit_vector([0.1, 0.1]).offset == model.offset.value_for(0.1)


def test_with_priors_keeps_structure_links_and_order():
    model = Collection(a=_line(), b=_line(), c=Model(Line, slope=1.0, offset=2.0))
    model.b.slope = model.a.slope
    model.c.offset = model.a.slope + 1.0
    model.add_assertion(model.a.offset < model.b.offset)
    passed = model.with_priors([GaussianPrior(float(i), 1.0) for i in range(3)])
    assert passed.paths == model.paths
    assert [prior.mean for prior in passed.priors] == [0.0, 1.0, 2.0]
    assert passed.b.slope is passed.a.slope
    assert passed.instance_from_vector([3.0, 1.0, 2.0]).c.offset == 4.0
    assert not passed.assertions_hold([3.0, 2.0, 1.0])
    assert model.priors[0].limits == (0.0, 1.0)

    one = model.with_priors({model.a.offset: TruncatedGaussianPrior(0.0, 1.0)})
    assert one.paths == model.paths
    assert [type(prior).__name__ for prior in one.priors] == [
        "UniformPrior",
        "TruncatedGaussianPrior",
        "UniformPrior",
    ]
    with pytest.raises(ModelError, match="3 parameters, but 1 priors"):
        model.with_priors([UniformPrior()])
    with pytest.raises(ModelError, match="not priors of this model"):
        model.with_priors({UniformPrior(): UniformPrior()})
