"""A rule of the user's own: a function named in the recipe, no fork of this package needed.

    - rule: my_rules.links:link_share      # module:function, importable where the tasks run
      version: 1                           # say 2 when its meaning changes
      parameters: {schemes: [http, https]} # keyword arguments of the function
      max: {share: 0.2}                    # drop when the signal is above
      min: {}                              # drop when it is below

The function takes a `werp.signals.batch.TextBatch` and the parameters, and returns a dict of signal name to
a list of numbers, or an Arrow array of numbers or strings, one value a document; null never drops. It is
called with no document first, to learn its signals: what it needs is best loaded then, since later the clock
runs (`page_seconds`). A page that it raises on, or takes too long for, is a failed row of the ledger, and the
others go on. Its columns are called `link_share.<signal>`, the
ledger names `link_share.v1.max.share`. The signals' key covers the source of the function's module.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
from pydantic import Field, StringConstraints

from werp.clock import said
from werp.errors import WerpError
from werp.signals.base import Check, Rule
from werp.signals.batch import TextBatch

_NAME = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"


class Own(Rule):
    """See the module's text. Raises `WerpError` where the function can't be had or returns something else."""

    rule: Annotated[str, StringConstraints(pattern=_NAME)] = Field(description="module:function")
    version: int = Field(1, ge=1, description="part of the rule's name in the ledger")
    parameters: dict[str, Any] = Field({}, description="keyword arguments of the function")
    max: dict[str, float] = Field({}, description="signal: drop when above")
    min: dict[str, float] = Field({}, description="signal: drop when below")

    @property
    def family(self) -> str:
        """The function's name."""
        return self.rule.partition(":")[2]

    @property
    def name(self) -> str:
        """`<function>.v<version>`."""
        return f"{self.family}.v{self.version}"

    def measure_parameters(self) -> dict[str, Any]:
        """The arguments, and the hash of the module's source."""
        source = inspect.getsourcefile(find_function("rule", self.rule))
        digest = hashlib.sha256(Path(source).read_bytes()).hexdigest() if source else None
        return {"rule": self.rule, "parameters": self.parameters, "source": digest}

    @property
    def calls_own_functions(self) -> bool:
        """See `Rule.calls_own_functions`."""
        return True

    def measure(self, batch: TextBatch) -> dict[str, pa.Array]:
        """Call the function. What it raises on documents goes through; `ValueError` for a value of theirs."""
        function = find_function("rule", self.rule)
        try:
            columns = function(batch, **self.parameters)
        except Exception as error:  # a stranger's code may raise whatever it likes
            if len(batch):
                raise
            raise WerpError(f"rule {self.rule}: {said(error)}, given no document") from error
        if not isinstance(columns, dict) or not columns:
            raise WerpError(
                f"rule {self.rule}: returned {type(columns).__name__}, expected a dict of signal columns"
            )
        arrays = {f"{self.family}.{name}": self._array(name, column) for name, column in columns.items()}
        for name, array in arrays.items():
            if len(array) != len(batch):
                raise WerpError(
                    f"rule {self.rule}: signal {name} has {len(array)} values for {len(batch)} documents"
                )
        return arrays

    def _array(self, name: str, column: Any) -> pa.Array:
        """Numbers as float64, so that a column has one type whatever a batch holds; strings as they are."""
        try:
            array = column if isinstance(column, pa.Array) else pa.array(column)
        except (pa.ArrowException, OverflowError, TypeError) as error:
            raise ValueError(f"signal {name}: {error}") from error
        if pa.types.is_string(array.type) and not isinstance(column, pa.Array):
            # Of no document, or of nulls alone, a list doesn't say that its values are strings.
            raise ValueError(f"signal {name} is text: return pa.array(values, pa.string())")
        if pa.types.is_string(array.type):
            if name in self.max or name in self.min:
                raise WerpError(f"rule {self.rule}: signal {name} is text; only numbers have a max or min")
            return array
        try:
            return array.cast(pa.float64())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise ValueError(f"signal {name}: {error}") from error

    def checks(self) -> list[Check]:
        """Those of `max`, then those of `min`."""
        above = [Check(f"max.{key}", f"{self.family}.{key}", ">", limit) for key, limit in self.max.items()]
        below = [Check(f"min.{key}", f"{self.family}.{key}", "<", limit) for key, limit in self.min.items()]
        return above + below


def find_function(role: str, name: str) -> Callable[..., Any]:
    """The user's own `module:function`; `WerpError` naming its role and the remedy where it can't be had."""
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise WerpError(
            f"{role} {name}: {error}; the module must be importable here and on every worker"
            " (install it, set PYTHONPATH, or spark-submit --py-files)"
        ) from error
    if not callable(found):
        raise WerpError(f"{role} {name}: {function} is no function")
    return found  # type: ignore[no-any-return]
