"""The maps of a model: unit cube, physical vector, instance, and back."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from autofit.mapper.errors import FitException, ModelError
from autofit.mapper.expression import Expression
from autofit.mapper.prior import Prior
from autofit.mapper.text import Row, aligned
from autofit.mapper.tree import Path, Tree
from autofit.mapper.tuple_prior import TuplePrior


class AbstractPriorModel(Tree):
    """What `Model` and `Collection` share.

    A model has one free parameter for each distinct prior in it, in order of creation of the
    priors. Vectors have the shape (n_dim,) and hold the parameters in that order. Every map takes
    `xp=jax.numpy` and can then be traced by `jax.jit` and batched by `jax.vmap`.
    """

    def _set(self, name: str, value: Any) -> None:
        if isinstance(value, tuple) and any(isinstance(v, Expression | Tree) for v in value):
            self._items[name] = TuplePrior(name, value)
        else:
            super()._set(name, value)

    @property
    def priors(self) -> list[Prior]:
        """Distinct priors, one for each parameter, in parameter order."""
        return list(self._prior_paths())

    @property
    def prior_count(self) -> int:
        """Number of free parameters, n_dim."""
        return len(self._prior_paths())

    @property
    def total_free_parameters(self) -> int:
        """Number of free parameters, n_dim."""
        return self.prior_count

    @property
    def paths(self) -> list[Path]:
        """Where each parameter is first met, in parameter order."""
        return list(self._prior_paths().values())

    @property
    def parameter_names(self) -> list[str]:
        """Paths joined by underscores; `centre_0` of a tuple `centre` does not repeat its name."""
        return ["_".join(_without_tuple_name(path)) for path in self.paths]

    @property
    def info(self) -> str:
        """Text of the composition, the priors by position in the vector, and the constants."""
        priors = self._prior_paths()
        order = {prior: index for index, prior in enumerate(priors)}
        values = list(self._value_rows(order))
        rows = [Row(0, f"Total Free Parameters = {len(order)}"), Row(0, "")]
        rows += [*self._composition_rows("model", 0), Row(0, ""), *values]
        assertions = self._all_assertions()
        if assertions:
            rows += [Row(0, ""), Row(0, "assertions")]
            labels = {prior: ".".join(path) for prior, path in priors.items()}
            for assertion in assertions:
                text = assertion.text(lambda prior: labels.get(prior, repr(prior)))
                rows.append(Row(1, assertion.name or "unnamed", text))
        return aligned(rows)

    def _composition_rows(self, name: str, depth: int) -> list[Row]:
        rows = [Row(depth, name, f"{self._title} (N={self.prior_count})")]
        for child, value in self._items.items():
            if isinstance(value, AbstractPriorModel):
                rows += value._composition_rows(child, depth + 1)
        return rows

    def vector_from_unit_vector(self, unit_vector: Any, xp: Any = np) -> Any:
        """Map a point of the unit cube, shape (n_dim,), to physical values through the priors.

        Raises
        ------
        ModelError
            If the vector has another length, or the model is not complete.
        PriorLimitError
            With NumPy, if a value lies outside [0, 1].
        """
        pairs = self._paired(unit_vector)
        return self._stacked([p.value_for(unit, xp=xp) for p, unit in pairs.items()], xp)

    def unit_vector_from_vector(self, vector: Any, xp: Any = np) -> Any:
        """Map physical values, shape (n_dim,), to the unit cube: the inverse."""
        pairs = self._paired(vector)
        return self._stacked([p.unit_value_for(value, xp=xp) for p, value in pairs.items()], xp)

    def log_prior_list_from_vector(self, vector: Any, xp: Any = np) -> list[Any]:
        """Return the log density of each parameter's prior; their sum is the log prior."""
        return [p.log_prior_from_value(v, xp=xp) for p, v in self._paired(vector).items()]

    def instance_from_vector(
        self, vector: Any, ignore_assertions: bool = False, xp: Any = np
    ) -> Any:
        """Build the classes of the model with the values of a vector.

        Parameters
        ----------
        vector
            Physical values, shape (n_dim,), in parameter order.
        ignore_assertions
            Build the instance even where an assertion fails.
        xp
            With `jax.numpy` the values may be traced and assertions are not checked, for a traced
            comparison cannot raise: see `assertions_hold`.

        Raises
        ------
        FitException
            With NumPy, if an assertion fails.
        ModelError
            If the vector has another length, or the model is not complete.
        """
        arguments = self._paired(vector)
        if xp is np and not ignore_assertions:
            self._require_assertions(arguments)
        return self._instance(arguments)

    def quantities_from_vector(self, vector: Any) -> list[Any]:
        """The parameters, in order, and what the model computes from them in place of others.

        Parameters
        ----------
        vector
            Physical values, shape (n_dim,), or of many points, shape (n_dim, n).
        """
        arguments = self._paired(vector)
        return [*arguments.values(), *(derived.value(arguments) for derived in self._derived())]

    def instance_from_quantities(self, quantities: Sequence[Any]) -> Any:
        """Build the classes of the model from what `quantities_from_vector` lists.

        Nothing is computed and no assertion is looked at, for marginal medians or bounds of the
        quantities need not fit together.
        """
        keys = [*self.priors, *self._derived()]
        return self._instance(dict(zip(keys, quantities, strict=True)))

    def instance_from_unit_vector(
        self, unit_vector: Any, ignore_assertions: bool = False, xp: Any = np
    ) -> Any:
        """Build the classes of the model from a point of the unit cube, shape (n_dim,)."""
        vector = self.vector_from_unit_vector(unit_vector, xp=xp)
        return self.instance_from_vector(vector, ignore_assertions=ignore_assertions, xp=xp)

    def instance_from_prior_medians(self, ignore_assertions: bool = False) -> Any:
        """Build the classes of the model with every parameter at the median of its prior."""
        return self.instance_from_unit_vector(
            np.full(self.prior_count, 0.5), ignore_assertions=ignore_assertions
        )

    def assertions_hold(self, vector: Any, xp: Any = np) -> Any:
        """Return a boolean scalar: whether every assertion holds. True without assertions."""
        arguments = self._paired(vector)
        result = xp.asarray(True)
        for assertion in self._all_assertions():
            result = xp.logical_and(result, assertion.holds(arguments, xp=xp))
        return result

    def with_priors(self, priors: Mapping[Prior, Prior] | Sequence[Prior]) -> Self:
        """Return the same model with other priors, its constants, links and assertions kept.

        Every parameter of the returned model is a new one, in the order of this model's, so that
        vectors of the two correspond. Two parameters that are given the same prior are linked.

        Parameters
        ----------
        priors
            One prior for each parameter, in order, or a mapping from priors of this model.

        Raises
        ------
        ModelError
            If their number is wrong or the mapping names a prior that is not in the model.
        """
        old = self.priors
        if isinstance(priors, Mapping):
            unknown = [prior for prior in priors if prior not in old]
            if unknown:
                raise ModelError(f"not priors of this model: {unknown}. It has {old}")
            chosen = [priors.get(prior, prior) for prior in old]
        else:
            chosen = list(priors)
            if len(chosen) != len(old):
                raise ModelError(
                    f"the model has {len(old)} parameters, but {len(chosen)} priors were given. "
                    "Give one for each of `model.paths`"
                )
        fresh: dict[Prior, Prior] = {}
        for prior in chosen:
            if prior not in fresh:
                fresh[prior] = prior.new()
        return self._replaced({p: fresh[q] for p, q in zip(old, chosen, strict=True)})

    def to_dict(self) -> dict[str, Any]:
        """Describe the model in terms of JSON, without prior ids: equal models, equal descriptions.

        Raises
        ------
        ModelError
            If a constant cannot be described, or the model is not complete.
        """
        self._require_complete()
        return self._described({prior: index for index, prior in enumerate(self.priors)})

    def _paired(self, vector: Any) -> dict[Prior, Any]:
        self._require_complete()
        priors = self.priors
        if len(vector) != len(priors):
            raise ModelError(
                f"the model has {len(priors)} parameters, but the vector has {len(vector)} values. "
                "Give one value for each of `model.paths`"
            )
        return {prior: vector[index] for index, prior in enumerate(priors)}

    def _require_assertions(self, arguments: Mapping[Prior, Any]) -> None:
        failed = [a for a in self._all_assertions() if not a.holds(arguments)]
        if failed:
            text = "; ".join(
                f"{a.name or 'assertion'}: {a.text(lambda prior: str(arguments[prior]))}"
                for a in failed
            )
            raise FitException(f"the vector breaks {len(failed)} assertion(s) of the model: {text}")

    @staticmethod
    def _stacked(values: list[Any], xp: Any) -> Any:
        return xp.stack(values) if values else xp.zeros(0)


def _without_tuple_name(path: Path) -> Path:
    if len(path) > 1:
        base, _, index = path[-1].rpartition("_")
        if base == path[-2] and index.isdigit():
            return (*path[:-2], path[-1])
    return path
