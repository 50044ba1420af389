"""`Collection`: several models, priors or constants under names or in a row."""

import inspect
from collections.abc import ItemsView, Iterator, Mapping
from typing import Any

from autofit.mapper.expression import Expression
from autofit.mapper.instance import ModelInstance
from autofit.mapper.prior_model import AbstractPriorModel


class Collection(AbstractPriorModel, wraps=(list, dict)):
    """Items of one model, reached by name, by position, or in a loop.

    Parameters
    ----------
    *arguments
        Items in a row, named "0", "1", …; a single list, tuple, generator, dict or `Collection` is
        taken apart, and the assertions of a `Collection` are kept. A class becomes a `Model`, a
        list or dict a `Collection`; priors, numbers and instances stay what they are.
    **kwargs
        Items with names.

    Examples
    --------
    >>> model = Collection(gaussian=Gaussian, exponential=Model(Exponential, rate=0.1))
    >>> model.gaussian.centre = UniformPrior(lower_limit=0.0, upper_limit=100.0)
    """

    def __init__(self, *arguments: Any, **kwargs: Any) -> None:
        super().__init__()
        if len(arguments) == 1 and isinstance(arguments[0], Mapping | Collection):
            for name, value in arguments[0].items():
                self._set(".".join(name) if isinstance(name, tuple) else str(name), value)
            if isinstance(arguments[0], Collection):
                self._assertions += arguments[0]._assertions
            arguments = ()
        elif len(arguments) == 1 and (
            isinstance(arguments[0], list | tuple) or inspect.isgenerator(arguments[0])
        ):
            arguments = tuple(arguments[0])
        for value in arguments:
            self.append(value)
        for name, value in kwargs.items():
            self._set(name, value)

    @property
    def _title(self) -> str:
        return "Collection"

    def _description(self) -> dict[str, Any]:
        return {"type": "Collection"}

    def _instance(self, arguments: Mapping[Expression, Any]) -> ModelInstance:
        return ModelInstance(
            {name: self._resolved(value, arguments) for name, value in self._items.items()}
        )

    def append(self, item: Any) -> None:
        """Add an item under the next free number."""
        number = len(self._items)
        while str(number) in self._items:
            number += 1
        self._set(str(number), item)

    def items(self) -> ItemsView[str, Any]:
        """Names and items, in order."""
        return self._items.items()

    def _name(self, key: str | int) -> str:
        return key if isinstance(key, str) else list(self._items)[key]

    def __getitem__(self, key: str | int | slice) -> Any:
        if isinstance(key, slice):
            return list(self._items.values())[key]
        return self._items[self._name(key)]

    def __setitem__(self, key: str | int, value: Any) -> None:
        self._set(self._name(key), value)

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._items.values()))

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item: Any) -> bool:
        return item in self._items if isinstance(item, str) else any(item is v for v in self)

    def __repr__(self) -> str:
        return f"<Collection {', '.join(self._items)} (N={self.prior_count})>"
