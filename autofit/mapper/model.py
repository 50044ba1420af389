"""`Model`: a Python class, its constructor's arguments turned into parameters and constants."""

import inspect
import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
from numbers import Real
from typing import Any

from autofit.mapper.description import class_path, describe_constant, what_it_holds
from autofit.mapper.errors import ModelError
from autofit.mapper.expression import Expression
from autofit.mapper.prior import Prior
from autofit.mapper.prior_model import AbstractPriorModel
from autofit.mapper.tree import Unset
from autofit.mapper.tuple_prior import TuplePrior


class Model(AbstractPriorModel, wraps=(type,)):
    """A class whose instances a fit builds.

    Every argument of the constructor is an item of the model. What it is follows from the first of
    these that applies:

    1. what was passed as a keyword, or set later as an attribute: a prior (a free parameter), a
       number or any other object (a constant), a class (becomes a `Model`), a list or dict (becomes
       a `Collection`), a tuple with priors in it (elements `centre_0`, `centre_1`, …);
    2. the entry of the class attribute `__default_priors__`, a mapping from argument names (or
       tuple elements, `centre_0`) to priors or numbers. Each model gets parameters of its own;
    3. a tuple default or annotation: its elements, each by rule 2 or unset;
    4. a default that is not a real number, or an argument annotated `int` or `bool`: the default
       of the constructor is used, and the argument is no part of the model unless it is set;
    5. otherwise it is unset, and a fit is refused with `UnsetPriorError`. A number as default is
       the usual way to say "a parameter", so it is never silently taken as a constant.

    Parameters
    ----------
    cls
        Class, or function that returns an object, with named arguments.
    **kwargs
        Priors and values of arguments.

    Raises
    ------
    ModelError
        If `cls` is not callable, or an argument is not one of its own.

    Examples
    --------
    >>> model = Model(Gaussian, sigma=2.0)
    >>> model.centre = UniformPrior(lower_limit=0.0, upper_limit=100.0)
    """

    def __init__(self, cls: Callable[..., Any], **kwargs: Any) -> None:
        super().__init__()
        self._cls = cls
        try:
            if not hasattr(cls, "__qualname__"):
                raise TypeError("it has no name")
            parameters = inspect.signature(cls).parameters.values()
        except (TypeError, ValueError) as error:
            raise ModelError(
                f"Model needs a class with named arguments, not {cls!r} ({error}). "
                "Pass the class itself, not an instance of it"
            ) from None
        self._arguments = {
            p.name: p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        }
        self._takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
        hints = _type_hints(cls)
        for name, parameter in self._arguments.items():
            if name in kwargs:
                self._set(name, kwargs.pop(name))
            else:
                self._set_default(name, parameter.default, hints.get(name))
        for name, value in kwargs.items():
            self._set(name, value)

    @property
    def cls(self) -> Callable[..., Any]:
        """The class that instances are of."""
        return self._cls

    @property
    def _title(self) -> str:
        return self._cls.__name__

    def _description(self) -> dict[str, Any]:
        description: dict[str, Any] = {"type": "Model", "class_path": class_path(self._cls)}
        defaults = {}
        for name, parameter in self._arguments.items():
            if name not in self._items and parameter.default is not inspect.Parameter.empty:
                with suppress(ModelError):
                    defaults[name] = describe_constant(parameter.default)
        held = what_it_holds(self._cls) if inspect.isroutine(self._cls) else {}
        return description | held | ({"defaults": defaults} if defaults else {})

    def _instance(self, arguments: Mapping[Expression, Any]) -> Any:
        return self._cls(
            **{name: self._resolved(value, arguments) for name, value in self._items.items()}
        )

    def _set_default(self, name: str, default: Any, hint: Any) -> None:
        length = _tuple_length(default, hint)
        configured = self._default_prior(name)
        if length is not None and isinstance(configured, Unset):
            elements = [self._default_prior(f"{name}_{i}") for i in range(length)]
            self._items[name] = TuplePrior(name, elements)
        elif not (isinstance(configured, Unset) and _is_constructors_own(default, hint)):
            self._items[name] = configured

    def _default_prior(self, name: str) -> Any:
        default = getattr(self._cls, "__default_priors__", {}).get(name, Unset())
        return default.new() if isinstance(default, Prior) else default

    def _set(self, name: str, value: Any) -> None:
        base, _, index = name.rpartition("_")
        owner = self._items.get(base) if index.isdigit() and name not in self._arguments else None
        if isinstance(owner, tuple):
            # A tuple of constants, one element of which is now to be something else.
            owner = self._items[base] = TuplePrior(base, owner)
        if isinstance(owner, TuplePrior):
            owner._set(name, value)
        elif name in self._arguments or self._takes_any:
            super()._set(name, value)
        else:
            raise ModelError(
                f"{self._title} has no argument {name!r}; it takes {', '.join(self._arguments)}. "
                "Correct the name, or add the argument to the constructor"
            )

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name not in self._items:
            base, _, index = name.rpartition("_")
            owner = self._items.get(base) if index.isdigit() else None
            if isinstance(owner, tuple | TuplePrior) and int(index) < len(owner):
                return owner[int(index)]
            if name in self._arguments:
                return self._arguments[name].default
        return super().__getattr__(name)

    def __repr__(self) -> str:
        return f"<Model {self._title} (N={self.prior_count})>"


def _type_hints(cls: Callable[..., Any]) -> dict[str, Any]:
    target = cls.__init__ if inspect.isclass(cls) else cls
    try:
        return typing.get_type_hints(target)
    except (NameError, TypeError):
        # Names imported for type checking only: the annotations then say nothing at run time.
        return {}


def _is_constructors_own(default: Any, hint: Any) -> bool:
    if default is inspect.Parameter.empty:
        return False
    return hint in (int, bool) or isinstance(default, bool) or not isinstance(default, Real)


def _tuple_length(default: Any, hint: Any) -> int | None:
    if isinstance(default, tuple) and default and all(isinstance(v, Real) for v in default):
        return len(default)
    if default is inspect.Parameter.empty and typing.get_origin(hint) is tuple:
        elements = typing.get_args(hint)
        return len(elements) if elements and Ellipsis not in elements else None
    return None
