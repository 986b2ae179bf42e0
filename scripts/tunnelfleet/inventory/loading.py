"""From a file to a typed cluster, or to all that is wrong with it."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tunnelfleet.findings import Finding, Location, Severity
from tunnelfleet.inventory.document import READING, Document, YamlPath, read
from tunnelfleet.inventory.fields import shown
from tunnelfleet.inventory.model import Cluster

CLUSTERS = "clusters"
INVENTORY = "cluster.yaml"


@dataclass(frozen=True, slots=True)
class LoadedCluster:
    """A cluster with the file it was read from."""

    folder: str
    document: Document
    cluster: Cluster

    @property
    def name(self) -> str:
        return self.cluster.metadata.name

    def locate(self, *path: str | int) -> Location:
        """Where the value at `path` (keys as in the file) stands."""
        return self.document.locate(path)


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of one folder under clusters/: a cluster where it could be read, and the findings."""

    folder: str
    loaded: LoadedCluster | None
    findings: tuple[Finding, ...]


def cluster_folders(root: Path) -> list[str]:
    """The names of the folders under clusters/, sorted; hidden ones are left out."""
    try:
        with os.scandir(root / CLUSTERS) as entries:
            return sorted(
                entry.name
                for entry in entries
                if entry.is_dir() and not entry.name.startswith(".")
            )
    except FileNotFoundError:
        return []


def load(root: Path, folder: str) -> Reading:
    """Reads clusters/<folder>/cluster.yaml."""
    path = root / CLUSTERS / folder / INVENTORY
    if not os.path.lexists(path):
        location = Location(path.relative_to(root).as_posix())
        message = f"the folder has no {INVENTORY}"
        hint = f"write one with `tunnelfleet new {folder}`, or remove the folder"
        return Reading(
            folder,
            None,
            (Finding(READING, Severity.ERROR, folder, location, message, hint),),
        )
    document, findings = read(root, path)
    loaded: LoadedCluster | None = None
    if document is not None:
        cluster, problems = validate(document)
        findings += problems
        if cluster is not None:
            loaded = LoadedCluster(folder, document, cluster)
    return Reading(folder, loaded, tuple(_named(folder, findings)))


def _named(folder: str, findings: Iterable[Finding]) -> Iterable[Finding]:
    for finding in findings:
        yield Finding(
            finding.policy,
            finding.severity,
            folder,
            finding.location,
            finding.message,
            finding.hint,
            finding.related,
        )


def validate(document: Document) -> tuple[Cluster | None, list[Finding]]:
    """The typed cluster, or a finding for every value that the model refuses."""
    if not isinstance(document.data, dict):
        message = f"expected a cluster, found {shown(document.data)}"
        location = document.locate(())
        return None, [
            Finding(
                READING,
                Severity.ERROR,
                None,
                location,
                message,
                "start with `tunnelfleet new NAME`",
            )
        ]
    try:
        return Cluster.model_validate(document.data), []
    except ValidationError as error:
        details = error.errors(include_url=False)
        return None, [_explain(document, detail) for detail in _without_echoes(details)]


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
        if detail["type"] == "literal_error" and "literal[False]" in detail["loc"]:
            continue
        if (path, detail["type"]) not in seen:
            seen.add((path, detail["type"]))
            kept.append(detail)
    return kept


def _in_file(detail: ErrorDetails) -> YamlPath:
    return tuple(
        part for part in detail["loc"] if part not in ("Bfd", "literal[False]", "[key]")
    )


def _explain(document: Document, detail: ErrorDetails) -> Finding:
    path = _in_file(detail)
    kind = detail["type"]
    context: dict[str, Any] = detail.get("ctx", {})
    location = document.locate(path)
    hint = ""
    where = _dotted(path)
    if kind == "extra_forbidden":
        location = document.locate_key(path)
        message, hint = _unknown_key(path)
    elif kind == "missing":
        location = document.locate_key(path[:-1])
        message = f"`{path[-1]}` is missing in {_dotted(path[:-1]) or 'the cluster'}"
        hint = f"add `{path[-1]}:` here"
    elif kind == "tunnelfleet":
        message, hint = f"{where}: {context['message']}", str(context["hint"])
    else:
        message, hint = _type_problem(kind, context, detail["input"], detail["msg"])
        message = f"{where}: {message}"
    return Finding(READING, Severity.ERROR, None, location, message, hint)


def _type_problem(
    kind: str, context: dict[str, Any], value: Any, fallback: str
) -> tuple[str, str]:
    found = shown(value)
    if kind == "string_type":
        hint = (
            "put it in quotes" if isinstance(value, (int, float)) else "write text here"
        )
        return f"expected text, found {found}", hint
    if kind in ("int_type", "int_from_float"):
        quoted = isinstance(value, str) and value.isdigit()
        return (
            f"expected a whole number, found {found}",
            "remove the quotes" if quoted else "write a whole number",
        )
    if kind == "bool_type":
        return f"expected true or false, found {found}", "write true or false"
    if kind == "list_type":
        hint = (
            f"write it as a list: [{value}]"
            if isinstance(value, (str, int))
            else "write a list, an item a line"
        )
        return f"expected a list, found {found}", hint
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return (
            f"expected a mapping, found {found}",
            "write keys and values, indented, a line each",
        )
    if kind == "literal_error":
        expected = str(context["expected"])
        allowed = [
            word.strip("'") for word in expected.replace(" or ", ", ").split(", ")
        ]
        close = difflib.get_close_matches(str(value), allowed, n=1)
        return (
            f"expected {expected}, found {found}",
            f"write {close[0] if close else allowed[0]}",
        )
    if kind == "too_short":
        least = context["min_length"]
        return (
            f"expected at least {least} item{'' if least == 1 else 's'}, found {context['actual_length']}",
            "add what is missing",
        )
    if kind == "string_too_short":
        return "expected text, found nothing", "write a value"
    return (
        f"{fallback[:1].lower()}{fallback[1:]}, found {found}",
        "see docs/inventory.md",
    )


def _dotted(path: YamlPath) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _unknown_key(path: YamlPath) -> tuple[str, str]:
    guess = _closest_key(path)
    message = f"unknown key `{path[-1]}` in {_dotted(path[:-1]) or 'a cluster'}"
    return (
        message,
        f"did you mean `{guess}`?"
        if guess
        else f"known here: {', '.join(sorted(_keys_beside(path)))}",
    )


def _closest_key(path: YamlPath) -> str | None:
    known = sorted(_keys_beside(path))
    key = str(path[-1])
    by_case = [word for word in known if word.lower() == key.lower()]
    return next(iter(by_case or difflib.get_close_matches(key, known, n=1)), None)


def _keys_beside(path: YamlPath) -> set[str]:
    model: type[BaseModel] = Cluster
    for part in path[:-1]:
        if isinstance(part, int):
            continue
        field = next((f for f in model.model_fields.values() if f.alias == part), None)
        inner = _model_of(field.annotation) if field else None
        if inner is None:
            return set()
        model = inner
    return {field.alias or "" for field in model.model_fields.values()}


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        inner = _model_of(argument)
        if inner is not None:
            return inner
    return None
