"""Reading Kubernetes objects strictly: what nobody reads is an error, never ignored."""

from __future__ import annotations

import re
from types import TracebackType
from typing import Any

# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "m": 10**-3}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)([a-zA-Z]*)")


class ManifestError(Exception):
    """An object asks for something that the twin does not do as Kubernetes would."""


class Fields:
    """An object's fields, each to be taken once.

    Use it in a `with`: at its end every field must have been taken. Raises ManifestError, which says where.
    """

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, dict):
            raise ManifestError(f"{where}: found {data!r}, expected an object")
        self._data: dict[str, Any] = dict(data)
        self.where = where

    def __enter__(self) -> Fields:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._data:
            raise ManifestError(f"{self.where}: the twin does not know {', '.join(sorted(self._data))}")

    def take(self, name: str, default: Any = None) -> Any:
        """The field's value, or the default."""
        return self._data.pop(name, default)

    def need(self, name: str) -> Any:
        """The field's value; it must be there."""
        if name not in self._data:
            raise ManifestError(f"{self.where}: {name} is missing")
        return self._data.pop(name)

    def only(self, name: str, *allowed: Any, default: Any = None) -> Any:
        """The field's value, which must be one of those that the twin does justice to."""
        value = self.take(name, default)
        if value not in allowed:
            raise ManifestError(f"{self.where}.{name}: found {value!r}, the twin knows {', '.join(map(repr, allowed))}")
        return value

    def harmless(self, *names: str) -> None:
        """Fields that change nothing in the twin."""
        for name in names:
            self._data.pop(name, None)

    def object(self, name: str) -> Fields:
        """A field that is an object; one without fields where it is absent."""
        return Fields(self.take(name) or {}, f"{self.where}.{name}")

    def objects(self, name: str) -> list[Fields]:
        """A field that is a list of objects; none where it is absent."""
        return [Fields(item, f"{self.where}.{name}[{index}]") for index, item in enumerate(self.take(name) or [])]

    def __bool__(self) -> bool:
        return bool(self._data)


def quantity(text: str | float) -> float:
    """A quantity such as `256Mi`, `100m` or 2, in bytes or cores. Raises ManifestError."""
    match = _QUANTITY.fullmatch(str(text))
    if match is None or match[2] not in _UNITS:
        raise ManifestError(f"found {text!r}, expected a quantity such as 64Mi or 100m")
    return float(match[1]) * _UNITS[match[2]]
