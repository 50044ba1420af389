"""A tuple argument whose elements are parameters: `centre` as `centre_0` and `centre_1`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autofit.mapper.errors import ModelError
from autofit.mapper.expression import Expression
from autofit.mapper.tree import Tree


class TuplePrior(Tree):
    """A fixed number of items named `name_0`, `name_1`, …; its instance is a tuple."""

    def __init__(self, name: str, elements: Sequence[Any]) -> None:
        super().__init__()
        self._name = name
        self._items = {f"{name}_{i}": self._wrapped(item) for i, item in enumerate(elements)}

    @property
    def _title(self) -> str:
        return f"tuple {self._name}"

    def _set(self, name: str, value: Any) -> None:
        if name not in self._items:
            raise ModelError(
                f"the tuple {self._name!r} has no element {name!r}; it has {', '.join(self._items)}"
            )
        super()._set(name, value)

    def _instance(self, arguments: Mapping[Expression, Any]) -> tuple[Any, ...]:
        return tuple(self._resolved(item, arguments) for item in self._items.values())

    def _description(self) -> dict[str, Any]:
        return {"type": "TuplePrior"}

    def __getitem__(self, index: int) -> Any:
        return list(self._items.values())[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items.values())

    def __len__(self) -> int:
        return len(self._items)
