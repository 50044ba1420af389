"""The text of a model."""

from composed_classes import Line, Spot

from autofit.mapper import Collection, GaussianPrior, Model, UniformPrior


def test_info_is_aligned_and_complete():
    line = Model(Line, slope=UniformPrior(0.0, 2.0), offset=GaussianPrior(1.0, 0.5))
    model = Collection(line=line, spot=Model(Spot, centre=(0.0, line.slope), flux=0.5))
    model.spot.flux = line.offset * 2.0
    model.add_assertion(line.slope < line.offset, name="order")
    assert model.info.splitlines() == [
        "Total Free Parameters = 2",
        "",
        "model                                       Collection (N=2)",
        "    line                                    Line (N=2)",
        "    spot                                    Spot (N=2)",
        "",
        "line",
        "    slope                                   "
        "UniformPrior [0], lower_limit = 0.0, upper_limit = 2.0",
        "    offset                                  GaussianPrior [1], mean = 1.0, sigma = 0.5",
        "spot",
        "    centre",
        "        centre_0                            0.0",
        "        centre_1                            "
        "UniformPrior [0], lower_limit = 0.0, upper_limit = 2.0",
        "    flux                                    ([1] * 2.0)",
        "",
        "assertions",
        "    order                                   line.slope < line.offset",
    ]


def test_long_names_move_the_column():
    model = Collection(**{"a" * 60: 1.0, "b": 2.0})
    lines = [line for line in model.info.splitlines() if line.startswith(("a", "b"))]
    assert [line.index(value) for line, value in zip(lines, ("1.0", "2.0"), strict=True)] == [
        62
    ] * 2
