"""What a `Collection` becomes once its parameters have values."""

from collections.abc import ItemsView, Iterator, Mapping
from typing import Any


class ModelInstance:
    """Named objects: `instance.gaussian`, `instance["gaussian"]`, `instance[0]`, or in a loop."""

    def __init__(self, items: Mapping[str, Any]) -> None:
        self.__dict__.update(items)

    def items(self) -> ItemsView[str, Any]:
        """Names and objects, in order."""
        return self.__dict__.items()

    def __getitem__(self, key: str | int | slice) -> Any:
        return self.__dict__[key] if isinstance(key, str) else list(self.__dict__.values())[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.__dict__.values())

    def __len__(self) -> int:
        return len(self.__dict__)

    def __repr__(self) -> str:
        return f"ModelInstance({', '.join(f'{name}={item!r}' for name, item in self.items())})"
