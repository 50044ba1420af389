"""The structure of a model: named priors, expressions, constants and further trees."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from autofit.mapper.description import describe_constant
from autofit.mapper.errors import ModelError, UnsetPriorError
from autofit.mapper.expression import Assertion, Expression
from autofit.mapper.prior import Prior
from autofit.mapper.text import Row

Path = tuple[str, ...]


class Unset:
    """Stands for an argument that was given neither a prior nor a value."""

    def __repr__(self) -> str:
        return "not set: give it a prior or a value"


class Tree:
    """Items with names, nested to any depth, and assertions about the priors among them.

    Attributes that start with an underscore belong to the tree itself; every other attribute is an
    item. Subclasses say by `wraps` which plain Python values they stand for: a class becomes a
    `Model`, a list or dict a `Collection`, wherever it is put into a tree.
    """

    _wrappers: ClassVar[dict[type, type["Tree"]]] = {}

    _items: dict[str, Any]
    _assertions: list[Assertion]

    def __init_subclass__(cls, wraps: tuple[type, ...] = (), **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Tree._wrappers.update(dict.fromkeys(wraps, cls))

    def __init__(self) -> None:
        self._items = {}
        self._assertions = []

    def __copy__(self) -> "Tree":
        """Return a copy whose items can be set without changing these; the items are shared."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._items, other._assertions = dict(self._items), list(self._assertions)
        return other

    @property
    def _title(self) -> str:
        raise NotImplementedError

    def _instance(self, arguments: Mapping[Expression, Any]) -> Any:
        """Build what the tree stands for from the value of each prior.

        An expression that has a value of its own in `arguments` is not computed.
        """
        raise NotImplementedError

    def _description(self) -> dict[str, Any]:
        """Return what tells trees of this kind apart, besides their items."""
        raise NotImplementedError

    def _set(self, name: str, value: Any) -> None:
        self._items[name] = self._wrapped(value)

    @staticmethod
    def _wrapped(value: Any) -> Any:
        for kind, wrapper in Tree._wrappers.items():
            if isinstance(value, kind):
                return wrapper(value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            self._set(name, value)

    def __getattr__(self, name: str) -> Any:
        # Python calls this only where ordinary lookup failed; copies ask before `_items` exists.
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._items[name]
        except KeyError:
            raise AttributeError(
                f"{self._title} has no item {name!r}; it has {', '.join(self._items) or 'none'}"
            ) from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._items]

    def add_assertion(self, assertion: Assertion | bool, name: str = "") -> None:
        """Allow only points at which a comparison of priors holds.

        Parameters
        ----------
        assertion
            For example `model.a > model.b`, or `(model.a < model.b) < model.c`. True, which is what
            comparing two constants may give, adds nothing.
        name
            Shown when a point fails the assertion.

        Raises
        ------
        ModelError
            If `assertion` is already False, or is not a comparison of priors.
        """
        if isinstance(assertion, bool | np.bool_) and assertion:
            return
        if not isinstance(assertion, Assertion):
            raise ModelError(
                f"an assertion must compare priors, for example `model.a > model.b`; received "
                f"{assertion!r}. If both sides are constants, the model can never hold"
            )
        self._assertions.append(Assertion(assertion.comparisons, name or assertion.name))

    def _leaves(self, prefix: Path = ()) -> Iterator[tuple[Path, Any]]:
        """Yield every item that is not a tree, with its path, depth first."""
        for name, value in self._items.items():
            path = (*prefix, name)
            if isinstance(value, Tree):
                yield from value._leaves(path)
            else:
                yield path, value

    def _derived(self) -> list[Expression]:
        """Expressions that stand where a parameter would."""
        values = (value for _, value in self._leaves())
        return [v for v in values if isinstance(v, Expression) and not isinstance(v, Prior)]

    def _subtrees(self) -> Iterator["Tree"]:
        """Yield this tree and every tree in it."""
        yield self
        for value in self._items.values():
            if isinstance(value, Tree):
                yield from value._subtrees()

    def _all_assertions(self) -> list[Assertion]:
        return [assertion for tree in self._subtrees() for assertion in tree._assertions]

    def _resolved(self, value: Any, arguments: Mapping[Expression, Any]) -> Any:
        if isinstance(value, Tree):
            return value._instance(arguments)
        if isinstance(value, Expression):
            return arguments[value] if value in arguments else value.value(arguments)
        return value

    def _require_complete(self) -> None:
        """Refuse a tree that cannot be fitted.

        Raises
        ------
        UnsetPriorError
            If an argument has neither a prior nor a value.
        ModelError
            If an assertion compares a prior that is not in the tree.
        """
        unset = [".".join(path) for path, value in self._leaves() if isinstance(value, Unset)]
        if unset:
            raise UnsetPriorError(
                f"{self._title}: no prior and no value for {', '.join(unset)}. Set each one, for "
                f"example `model.{unset[0]} = af.UniformPrior(lower_limit=0.0, upper_limit=1.0)` "
                f"or `model.{unset[0]} = 1.0`, or give the class a `__default_priors__` mapping"
            )
        priors = self._prior_paths()
        for assertion in self._all_assertions():
            if any(prior not in priors for prior in assertion.free()):
                raise ModelError(
                    f"{self._title}: the assertion {assertion.text(repr)} {assertion.name!r} "
                    "compares a prior that is not in the model; a prior was replaced after the "
                    "assertion was added. Add assertions after all priors are set"
                )

    def _prior_paths(self) -> dict[Prior, Path]:
        """Map each free prior to where it is first met, in order of creation.

        A prior that is met only inside an expression gets the path of the expression, extended.
        """
        direct: dict[Prior, Path] = {}
        derived: dict[Prior, Path] = {}
        for path, value in self._leaves():
            if isinstance(value, Prior):
                direct.setdefault(value, path)
            elif isinstance(value, Expression):
                for index, prior in enumerate(value.free()):
                    derived.setdefault(prior, (*path, f"prior_{index}"))
        return dict(sorted({**derived, **direct}.items(), key=lambda item: item[0].id))

    def _replaced(self, new: Mapping[Prior, Prior]) -> "Tree":
        """Return a copy whose priors are exchanged; constants are shared."""
        other = copy.copy(self)
        other._items = {
            name: value._replaced(new)
            if isinstance(value, Tree)
            else value.replaced(new)
            if isinstance(value, Expression)
            else value
            for name, value in self._items.items()
        }
        other._assertions = [assertion.replaced(new) for assertion in self._assertions]
        return other

    def _described(self, order: Mapping[Prior, int]) -> dict[str, Any]:
        def label(prior: Prior) -> str:
            return f"[{order[prior]}]"

        def described(value: Any) -> Any:
            if isinstance(value, Tree):
                return value._described(order)
            if isinstance(value, Prior):
                fields = {name: describe_constant(getattr(value, name)) for name in value.fields}
                return {"type": type(value).__name__, "parameter": order[value], **fields}
            if isinstance(value, Expression):
                return {"type": "Expression", "formula": value.text(label)}
            return describe_constant(value)

        items = {name: described(value) for name, value in self._items.items()}
        assertions = [assertion.text(label) for assertion in self._assertions]
        return {**self._description(), "items": items} | (
            {"assertions": assertions} if assertions else {}
        )

    def _value_rows(self, order: Mapping[Prior, int], depth: int = 0) -> Iterator[Row]:
        for name, value in self._items.items():
            if isinstance(value, Tree):
                yield Row(depth, name)
                yield from value._value_rows(order, depth + 1)
            elif isinstance(value, Prior):
                text = f"{type(value).__name__} [{order[value]}], {value.parameter_string}"
                yield Row(depth, name, text)
            elif isinstance(value, Expression):
                yield Row(depth, name, value.text(lambda prior: f"[{order[prior]}]"))
            else:
                yield Row(depth, name, " ".join(str(value).split()))
