"""Classes that the model tests compose."""


class Spot:
    """Tuple default, a number default, an annotated integer and an object default."""

    def __init__(self, centre=(0.0, 0.0), flux: float = 1.0, order: int = 3, tag=None):
        self.centre = centre
        self.flux = flux
        self.order = order
        self.tag = tag


class Line:
    """Two required arguments."""

    def __init__(self, slope, offset):
        self.slope = slope
        self.offset = offset

    def __call__(self, x):
        return self.slope * x + self.offset


class Galaxy:
    """Any further keyword is kept, as a galaxy keeps its profiles."""

    def __init__(self, redshift, **profiles):
        self.redshift = redshift
        self.__dict__.update(profiles)
