"""Say in plain words what a JSON schema validator found."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jsonschema_rs import ValidationError, ValidationErrorKind

from tunnelfleet.manifests.patterns import PLAIN_WORDS

_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "nothing",
    "number": "a number",
    "object": "a mapping",
    "string": "a string",
}
_FORMATS = {
    "cidr": "an address range such as 10.0.0.0/8",
    "date-time": "a time such as 2026-01-31T12:00:00Z",
    "ipv4": "an IPv4 address",
    "ipv6": "an IPv6 address",
}
_HIDDEN: Mapping[type, str] = {bool: "true or false", int: "a number", float: "a number"}
_YAML_BOOLEANS = {
    "true": "true",
    "yes": "true",
    "on": "true",
    "false": "false",
    "no": "false",
    "off": "false",
}
_FILE_MODES = frozenset({"defaultMode", "mode"})
_LISTED_FIELDS = 12
_SHOWN_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Detail:
    """One refusal: where, the schema's keyword that refuses, what was found, and what to do."""

    path: tuple[str | int, ...]
    keyword: str
    message: str
    hint: str = ""


def details(
    errors: Iterable[ValidationError], schema: Mapping[str, Any], manifest: Mapping[str, Any]
) -> Iterator[Detail]:
    """What the errors of a validator with this schema mean. Values of a Secret are never shown."""
    words = _Words(schema, hide_values=manifest.get("kind") == "Secret")
    for error in errors:
        yield from words.of(error)


def repeated_item(items: object, keys: Sequence[str]) -> tuple[int, int] | None:
    """The first item (its index, and that of its forerunner) with the same values of these keys as another.

    Items without any of the keys, and those that are no mappings, are left to other rules.
    """
    seen: dict[tuple[object, ...], int] = {}
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if not isinstance(item, dict) or keys[0] not in item:
            continue
        values = tuple(repr(item.get(key)) for key in keys)
        if values in seen:
            return index, seen[values]
        seen[values] = index
    return None


class _Words:
    """Explains the errors of one schema."""

    def __init__(self, schema: Mapping[str, Any], *, hide_values: bool) -> None:
        self._schema = schema
        self._hide_values = hide_values

    def of(self, error: ValidationError) -> Iterator[Detail]:
        """What one error means: mostly one refusal, several for several unknown fields."""
        path = tuple(error.instance_path)
        match error.kind:
            case ValidationErrorKind.AdditionalProperties(unexpected=names):
                known = self._parent(error).get("properties", {})
                for name in names:
                    yield Detail((*path, name), "unknown", "unknown field", _field_hint(name, known))
            case ValidationErrorKind.Required(property=name):
                wanted = self._expected_type(self._parent(error).get("properties", {}).get(name, {}))
                yield Detail((*path, str(name)), "required", "missing", wanted and f"expected {wanted}")
            case ValidationErrorKind.PropertyNames(error=inner):
                for detail in self.of(inner):
                    yield Detail((*path, str(inner.instance)), "propertyNames", detail.message)
            case ValidationErrorKind.AnyOf(context=forms) | ValidationErrorKind.OneOfNotValid(context=forms):
                yield from self._forms(path, error.kind.name, forms)
            case ValidationErrorKind.OneOfMultipleValid():
                choice = ", ".join(_required_by(self._parent(error)["oneOf"]))
                yield Detail(path, "oneOf", f"give only one of {choice or 'its forms'}")
            case ValidationErrorKind.Custom():
                yield self._repeated(path, error)
            case _:
                yield self._value(path, error)

    def _value(self, path: tuple[str | int, ...], error: ValidationError) -> Detail:
        """A value that is wrong in itself."""
        found = self._found(error.instance)
        last = path[-1] if path else ""
        keyword = error.kind.name
        message, hint = f"not allowed; found {found}", ""
        match error.kind:
            case ValidationErrorKind.Type(types=types):
                message = f"expected {_either([_TYPES[name] for name in types])}, found {found}"
                hint = _type_hint(types, error.instance, hide=self._hide_values)
            case ValidationErrorKind.Enum(options=options):
                values = [str(option) for option in options if option != ""]
                message = f"expected {_either(values)}, found {found}"
                hint = _close(error.instance, values)
            case ValidationErrorKind.Pattern(pattern=pattern):
                message = f"found {found}, expected {PLAIN_WORDS.get(pattern) or f'a match of {pattern}'}"
            case ValidationErrorKind.Format(format=name):
                message = f"expected {_FORMATS.get(name, name)}, found {found}"
            case ValidationErrorKind.Minimum(limit=limit):
                message = f"expected at least {limit}, found {found}"
            case ValidationErrorKind.Maximum(limit=limit):
                message = f"expected at most {limit}, found {found}"
                if last in _FILE_MODES and re.fullmatch("[0-7]{3}", str(error.instance)):
                    hint = f"file modes are octal: write 0{error.instance}"
            case ValidationErrorKind.MinLength(limit=limit) | ValidationErrorKind.MinItems(limit=limit):
                message = "must not be empty" if limit == 1 else f"too short; expected at least {limit}"
            case ValidationErrorKind.MaxLength(limit=limit):
                message = f"{len(str(error.instance))} characters long, expected at most {limit}"
            case ValidationErrorKind.MaxItems(limit=limit) | ValidationErrorKind.MaxProperties(limit=limit):
                message = f"expected at most {limit} entries, found {_size(error.instance)}"
            case ValidationErrorKind.MinProperties(limit=limit):
                message = f"expected at least {limit} entries, found {_size(error.instance)}"
            case ValidationErrorKind.UniqueItems():
                message = "the same value stands twice"
        return Detail(path, keyword, message, hint)

    def _forms(self, path: tuple[str | int, ...], keyword: str, forms: list[list[ValidationError]]) -> Iterator[Detail]:
        """A value that fits none of its forms: where each asks for one field, the choice of them."""
        found = [[detail for error in form for detail in self.of(error)] for form in forms]
        missing = [form[0] for form in found if len(form) == 1 and form[0].keyword == "required"]
        if len(missing) == len(found):
            names = ", ".join(str(detail.path[-1]) for detail in missing)
            yield Detail(path, keyword, f"missing one of {names}")
        else:
            yield from min(found, key=len)

    def _repeated(self, path: tuple[str | int, ...], error: ValidationError) -> Detail:
        """A list with two items that share their keys."""
        keys: list[str] = self._at(error.schema_path)
        items: Any = error.instance
        index, first = repeated_item(items, keys) or (0, 0)
        item = items[index]
        shared = " and ".join(f"{key} {item[key]}" for key in keys if key in item)
        return Detail((*path, index), "repeated", f"a second item with {shared}, after number {first + 1}")

    def _parent(self, error: ValidationError) -> Mapping[str, Any]:
        """The schema that holds the keyword which refused."""
        parent: Mapping[str, Any] = self._at(error.schema_path[:-1])
        return parent

    def _at(self, steps: Sequence[str | int]) -> Any:
        place: Any = self._schema
        for step in steps:
            place = place[step]
        return place

    def _expected_type(self, schema: Mapping[str, Any]) -> str:
        """What kind of value a schema describes, "" where it does not say."""
        if "$ref" in schema:
            return self._expected_type(self._at(str(schema["$ref"]).removeprefix("#/").split("/")))
        types = schema.get("type", [])
        return _either([_TYPES[name] for name in ([types] if isinstance(types, str) else types)])

    def _found(self, value: object) -> str:
        """A value as a message shows it."""
        match value:
            case None:
                return "nothing (null)"
            case dict():
                return "a mapping"
            case list():
                return "a list"
            case bool():
                text = str(value).lower()
            case int() | float():
                text = f"the number {value}"
            case _:
                shown = str(value)
                short = shown if len(shown) <= _SHOWN_CHARACTERS else shown[: _SHOWN_CHARACTERS - 1] + "…"
                text = f'"{short}"'
        if self._hide_values:
            return _HIDDEN.get(type(value), "another value")
        return text


def _field_hint(name: str, known: Mapping[str, Any]) -> str:
    if hint := _close(name, list(known)):
        return hint
    if known and len(known) <= _LISTED_FIELDS:
        return f"known here: {', '.join(sorted(known))}"
    return ""


def _close(value: object, choices: Sequence[str]) -> str:
    """Which of the choices was probably meant."""
    by_lower = {choice.lower(): choice for choice in choices}
    matches = difflib.get_close_matches(str(value).lower(), list(by_lower), n=1, cutoff=0.7)
    return f"did you mean {by_lower[matches[0]]}?" if matches else ""


def _type_hint(types: Sequence[str], value: object, *, hide: bool) -> str:
    if isinstance(value, bool | int | float) and list(types) == ["string"]:
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        return "put the value in quotes" if hide else f'put it in quotes: "{shown}"'
    if isinstance(value, str) and {"integer", "number"} & set(types) and re.fullmatch(r"-?[0-9]+", value):
        return "write it without quotes" if hide else f"write {value} without quotes"
    if isinstance(value, str) and "boolean" in types and value.lower() in _YAML_BOOLEANS:
        return f"write {_YAML_BOOLEANS[value.lower()]} without quotes"
    if list(types) == ["array"] and isinstance(value, str | int | float | dict):
        return "write it as a list, each item after a hyphen"
    return ""


def _either(choices: Sequence[str]) -> str:
    """One choice, or all of them with "or" before the last."""
    *others, last = choices or ("",)
    return f"{', '.join(others)} or {last}" if others else last


def _required_by(branches: Sequence[Mapping[str, Any]]) -> list[str]:
    """The field that each branch of a oneOf asks for; empty where a branch asks for anything else."""
    names = [branch["required"][0] for branch in branches if len(branch.get("required", ())) == 1]
    return names if len(names) == len(branches) else []


def _size(value: object) -> int:
    return len(value) if isinstance(value, list | dict) else 0
