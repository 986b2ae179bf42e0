"""What the model refuses, said so that a person knows what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from tunnelfleet.findings import Finding, Severity
from tunnelfleet.inventory.document import READING, Document, YamlPath
from tunnelfleet.inventory.fields import shown
from tunnelfleet.inventory.model import Cluster

Advice = tuple[str, str]
"""A message and what to write instead."""


def explain(document: Document, details: list[ErrorDetails]) -> list[Finding]:
    """A finding for every mistake that pydantic reports of the document."""
    return [_explain(document, detail) for detail in _without_echoes(details)]


def _without_echoes(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """One complaint for one mistake: not both sides of a union, not a misspelt key also as a missing one."""
    misspelt = {
        (*path[:-1], _closest_key(path))
        for detail in details
        if detail["type"] == "extra_forbidden"
        for path in [_in_file(detail)]
    }
    seen: set[tuple[Any, ...]] = set()
    kept = []
    for detail in details:
        path = _in_file(detail)
        if detail["type"] == "missing" and path in misspelt:
            continue
        if detail["type"] == "literal_error" and _OTHER_SIDE in detail["loc"]:
            continue
        if (path, detail["type"]) not in seen:
            seen.add((path, detail["type"]))
            kept.append(detail)
    return kept


# pydantic puts the sides of the union that `bfd` is into the path
_OTHER_SIDE = "literal[False]"
_SIDES = {("bfd", "Bfd"), ("bfd", _OTHER_SIDE)}


def _in_file(detail: ErrorDetails) -> YamlPath:
    path = detail["loc"]
    return tuple(part for before, part in zip(("", *path), path, strict=False) if (before, part) not in _SIDES)


def _explain(document: Document, detail: ErrorDetails) -> Finding:
    path = _in_file(detail)
    kind = detail["type"]
    location = document.locate(path)
    if kind == "extra_forbidden":
        location = document.locate_key(path)
        message, hint = _unknown_key(path)
    elif kind == "missing":
        location = document.locate_key(path[:-1])
        message, hint = f"`{path[-1]}` is missing in {_dotted(path[:-1]) or 'the cluster'}", f"add `{path[-1]}:` here"
    else:
        message, hint = _wrong_value(path, detail)
        message = f"{_dotted(path)}: {message}"
    return Finding(READING, Severity.ERROR, None, location, message, hint)


def _wrong_value(path: YamlPath, detail: ErrorDetails) -> Advice:
    context: dict[str, Any] = detail.get("ctx", {})
    if detail["type"] == "tunnelfleet":
        return str(context["message"]), str(context["hint"])
    if detail["type"] == "string_pattern_mismatch":
        return _pattern(path, str(context["pattern"]), shown(detail["input"]))
    if detail["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return _mapping(path, shown(detail["input"]))
    advise = _ADVICE.get(detail["type"])
    if advise is not None:
        return advise(detail["input"], context)
    text = detail["msg"]
    return f"{text[:1].lower()}{text[1:]}, found {shown(detail['input'])}", "see docs/inventory.md"


def _text(value: Any, _: dict[str, Any]) -> Advice:
    number = isinstance(value, (int, float))
    return f"expected text, found {shown(value)}", "put it in quotes" if number else "write text here"


def _whole_number(value: Any, _: dict[str, Any]) -> Advice:
    hint = "write a whole number"
    if isinstance(value, str) and value.isdigit():
        hint = "remove the quotes"
    elif isinstance(value, float):
        hint = "write a whole number; an AS number x.y is x times 65536 plus y (RFC 5396)"
    return f"expected a whole number, found {shown(value)}", hint


def _truth_value(value: Any, _: dict[str, Any]) -> Advice:
    return f"expected true or false, found {shown(value)}", "write true or false"


def _list(value: Any, _: dict[str, Any]) -> Advice:
    single = isinstance(value, (str, int)) and not isinstance(value, bool)
    hint = f"write it as a list: [{value}]" if single and len(str(value)) <= 60 else "write a list, an item a line"
    return f"expected a list, found {shown(value)}", hint


def _mapping(path: YamlPath, found: str) -> Advice:
    keys = _keys_beside((*path, ""))
    return (
        f"expected a mapping, found {found}",
        f"write its keys: {', '.join(keys)}" if keys else "write keys and values",
    )


def _choice(value: Any, context: dict[str, Any]) -> Advice:
    expected = str(context["expected"]).replace("'", "")
    allowed = expected.replace(" or ", ", ").split(", ")
    close = difflib.get_close_matches(str(value), allowed, n=1)
    return f"expected {expected}, found {shown(value)}", f"write {close[0] if close else ' or '.join(allowed)}"


def _too_short(_: Any, context: dict[str, Any]) -> Advice:
    least, found = context["min_length"], context["actual_length"]
    missing = least - found
    return f"expected at least {least} item{'' if least == 1 else 's'}, found {found}", f"add {missing} more"


def _empty(_: Any, __: dict[str, Any]) -> Advice:
    return "expected text, found nothing", "write a value"


def _too_small(value: Any, context: dict[str, Any]) -> Advice:
    return f"expected at least {context['ge']}, found {shown(value)}", f"write {context['ge']} or more"


def _too_large(value: Any, context: dict[str, Any]) -> Advice:
    return f"expected at most {context['le']}, found {shown(value)}", f"write {context['le']} or less"


def _not_multiple(value: int, context: dict[str, Any]) -> Advice:
    step = context["multiple_of"]
    return f"expected a multiple of {step}, found {shown(value)}", f"write {-(-value // step) * step}"


def _pattern(path: YamlPath, pattern: str, found: str) -> Advice:
    example = _example(path)
    wanted = f"text like {example}" if example else "other text"
    return f"expected {wanted}, found {found}", f"it must match {pattern}"


_ADVICE: dict[str, Callable[[Any, dict[str, Any]], Advice]] = {
    "string_type": _text,
    "int_type": _whole_number,
    "int_from_float": _whole_number,
    "bool_type": _truth_value,
    "list_type": _list,
    "literal_error": _choice,
    "too_short": _too_short,
    "string_too_short": _empty,
    "greater_than_equal": _too_small,
    "less_than_equal": _too_large,
    "multiple_of": _not_multiple,
}


def _dotted(path: YamlPath) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _unknown_key(path: YamlPath) -> Advice:
    guess = _closest_key(path)
    message = f"unknown key {shown(path[-1])} in {_dotted(path[:-1]) or 'the cluster'}"
    return message, f"did you mean `{guess}`?" if guess else f"known here: {', '.join(sorted(_keys_beside(path)))}"


def _closest_key(path: YamlPath) -> str | None:
    known = sorted(_keys_beside(path))
    key = str(path[-1])
    by_case = [word for word in known if word.lower() == key.lower()]
    return next(iter(by_case or difflib.get_close_matches(key, known, n=1)), None)


def _keys_beside(path: YamlPath) -> list[str]:
    """The keys that the model knows where `path` ends."""
    model: type[BaseModel] = Cluster
    for part in path[:-1]:
        if isinstance(part, int):
            continue
        field = next((f for f in model.model_fields.values() if f.alias == part), None)
        inner = _model_of(field.annotation) if field else None
        if inner is None:
            return []
        model = inner
    return [field.alias or "" for field in model.model_fields.values()]


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        inner = _model_of(argument)
        if inner is not None:
            return inner
    return None


@cache
def _schema() -> dict[str, Any]:
    return Cluster.model_json_schema()


def _example(path: YamlPath) -> str | None:
    """The example that the model gives for the value at `path`, or else its default."""
    nodes = [_schema()]
    for part in path:
        nodes = [inner for node in nodes for side in _sides(node) for inner in _step(side, part)]
    for side in (side for node in nodes for side in _sides(node)):
        if "examples" in side or isinstance(side.get("default"), str):
            return str(side.get("examples", [side.get("default")])[0])
    return None


def _sides(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The node itself, what it refers to, and the sides of a union."""
    yield node
    if "$ref" in node:
        yield from _sides(_schema()["$defs"][node["$ref"].rpartition("/")[2]])
    for side in node.get("anyOf", ()):
        yield from _sides(side)


def _step(node: dict[str, Any], part: str | int) -> Iterator[dict[str, Any]]:
    inner = node.get("items") if isinstance(part, int) else node.get("properties", {}).get(part)
    if isinstance(inner, dict):
        yield inner
