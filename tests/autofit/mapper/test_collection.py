"""Collections: names, positions, and what is wrapped."""

import pytest
from composed_classes import Line

from autofit.mapper import Collection, Model, UniformPrior


def _line():
    return Model(Line, slope=UniformPrior(), offset=UniformPrior())


def test_items_by_name_position_and_loop():
    model = Collection(a=_line(), b=_line())
    assert model["a"] is model[0] is model.a
    assert model[-1] is model.b
    assert [name for name, _ in model.items()] == ["a", "b"]
    assert list(model) == [model.a, model.b]
    assert len(model) == 2
    assert "a" in model
    assert model.b in model
    with pytest.raises(AttributeError, match="it has a, b"):
        _ = model.c


def test_rows_are_numbered():
    for model in (
        Collection([_line(), _line()]),
        Collection(_line(), _line()),
        Collection(_line() for _ in range(2)),
    ):
        assert model.paths[0] == ("0", "slope")
        assert model.paths[-1] == ("1", "offset")
        model.append(_line())
        assert model[2] is model["2"]
        assert model.prior_count == 6


def test_numbers_are_positions_on_model_and_instance_alike():
    model = Collection({1: _line(), 2: _line()})
    assert model[0] is model["1"] and model[1] is model["2"]
    model[1].slope = 7.0
    instance = model.instance_from_prior_medians()
    assert instance[1].slope == 7.0 != instance[0].slope


def test_what_is_wrapped():
    prior = UniformPrior()
    line = Line(1.0, 2.0)
    model = Collection(
        {"kind": Line, "row": [prior, 3.0], "named": {"x": prior}, "object": line, "free": prior}
    )
    model.kind.slope = model.kind.offset = 0.5
    assert model.prior_count == 1
    instance = model.instance_from_vector([7.0])
    assert isinstance(instance.kind, Line)
    assert list(instance.row) == [7.0, 3.0]
    assert instance.named.x == instance.free == 7.0
    assert instance.object is line


def test_priors_in_a_tuple_are_parameters():
    first, second = UniformPrior(), UniformPrior()
    model = Collection(centre=(first, second), both=[(first, 3.0)], fixed=(1.0, 2.0))
    assert model.prior_count == 2
    instance = model.instance_from_vector([5.0, 7.0])
    assert instance.centre == (5.0, 7.0)
    assert (instance.both[0], instance.fixed) == ((5.0, 3.0), (1.0, 2.0))


def test_an_instance_is_reached_in_every_way():
    instance = Collection(a=_line(), b=_line()).instance_from_vector([1.0, 2.0, 3.0, 4.0])
    assert instance.b is instance["b"] is instance[1]
    assert sum(line(10.0) for line in instance) == 10.0 + 2.0 + 30.0 + 4.0
    assert len(instance) == 2
    assert dict(instance.items()) == {"a": instance.a, "b": instance.b}


def test_items_are_replaced():
    model = Collection(a=_line())
    model["a"] = 1.0
    model[0] = 2.0
    model.b = Line
    assert model.a == 2.0
    assert isinstance(model.b, Model)
    assert len(model) == 2
    assert Collection(model).a == 2.0


def test_a_collection_that_is_taken_apart_keeps_its_assertions():
    first, second = UniformPrior(), UniformPrior()
    inner = Collection(first=first, second=second)
    inner.add_assertion(first < second)
    model = Collection(inner, third=UniformPrior())
    assert model.assertions_hold([0.1, 0.2, 0.0]) and not model.assertions_hold([0.2, 0.1, 0.0])
    model.add_assertion(second < model.third)
    assert inner.assertions_hold([0.1, 0.2])
