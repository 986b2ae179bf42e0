"""Read Go type declarations: enough of the language for the API types of Kubernetes and kustomize."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_STRING = re.compile(r"^((?://.*\n)*)type (\w+) string", re.MULTILINE)
_CONSTANT = re.compile(r'^\s*(?:const )?\w+\s+(\w+)\s*=\s*"([^"]*)"', re.MULTILINE)
_TAG = re.compile(r'json:"([^",]*)([^"]*)"')
# string types of k8s.io/api that take only their constants, though they are not marked as enumerations
_UNMARKED = frozenset({"ContainerRestartPolicy", "OSName", "RecursiveReadOnlyMode", "ResourceResizeRestartPolicy"})
_CONTAINERS = re.compile(r"^(?:\*|\[\])+")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a struct: its name in JSON ("" where its own fields are inlined) and its Go type."""

    name: str
    type: str

    @property
    def element(self) -> str:
        """The type without pointers, slices and the package's name."""
        return _CONTAINERS.sub("", self.type).rsplit(".", 1)[-1]


@dataclass(frozen=True, slots=True)
class Types:
    """The structs of a package, and the values of its enumerations (string types, most marked `+enum`)."""

    structs: Mapping[str, tuple[Field, ...]]
    enums: Mapping[str, tuple[str, ...]]


def read_types(sources: Iterable[str]) -> Types:
    """The types that Go source files declare; fields without a JSON name are left out, as JSON does."""
    structs: dict[str, tuple[Field, ...]] = {}
    enums: dict[str, set[str]] = {}
    constants: list[tuple[str, str]] = []
    for source in sources:
        structs.update((found[1], _fields(found[2])) for found in _STRUCT.finditer(source))
        enums.update(
            (found[2], set()) for found in _STRING.finditer(source) if "+enum" in found[1] or found[2] in _UNMARKED
        )
        constants += _CONSTANT.findall(source)
    for type_name, value in constants:
        if type_name in enums:
            enums[type_name].add(value)
    return Types(structs, {name: tuple(sorted(values)) for name, values in enums.items() if values})


def _fields(body: str) -> tuple[Field, ...]:
    """The fields of a struct's body, in the order of the source."""
    fields = []
    for line in body.splitlines():
        declaration, _, tags = line.partition("`")
        tag = _TAG.search(tags)
        words = declaration.split()
        if tag is None or not words or words[0].startswith("//") or tag[1] == "-":
            continue
        if tag[1] or "inline" in tag[2]:
            fields.append(Field(tag[1], "".join(words[1:]) or words[0]))
    return tuple(fields)
