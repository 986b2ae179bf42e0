"""Frozen dataclasses from the JSON that dataclasses.asdict makes of them."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

Record = TypeVar("Record")


def from_data(kind: type[Record], data: dict[str, Any]) -> Record:
    """A record, its records, tuples and enumerations included. Raises KeyError or ValueError where data do not fit."""
    hints = get_type_hints(kind)
    return kind(**{field.name: _value(hints[field.name], data[field.name]) for field in fields(kind)})  # type: ignore[arg-type]


def _value(kind: Any, data: Any) -> Any:
    if get_origin(kind) is UnionType and data is None:
        return None
    if get_origin(kind) is UnionType:
        kind = next(option for option in get_args(kind) if option is not NoneType)
    if get_origin(kind) is tuple:
        return tuple(_value(get_args(kind)[0], item) for item in data)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    return from_data(kind, data) if is_dataclass(kind) and isinstance(kind, type) else data
