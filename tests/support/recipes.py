"""Fixtures of what a person can break in a whole repository: recipes in tests/policies/invalid/<policy>/<defect>.yaml.

    # In one sentence, how this comes about.
    cluster: iceland-gcp            # the cluster that is looked at
    beside: texas-azure             # another one that the copy of the repository holds; without it there is none
    changes:                        # made one after the other in the copy
      - {file: PATH, find: TEXT, put: TEXT}   # TEXT stands there once; `every: true` where it stands more often
      - {file: PATH, append: TEXT}
      - {file: PATH, write: TEXT}
      - {file: PATH, delete: true}            # a file or a folder
      - generate                              # `tunnelfleet generate`
    expect:                         # exactly these findings, in any order
      - {policy: NAME, place: PATH, line: TEXT, message: TEXT, hint: TEXT}

`line` is what stands on the line that the finding points at, without the spaces around it; a number where there is
no such file. Text that ends with three dots is only the beginning of what is expected: kustomize's own words.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support.fleets import REPOSITORY
from tests.support.repositories import copy_of_this
from tunnelfleet import checking, generating
from tunnelfleet.findings import Finding
from tunnelfleet.inventory.loading import cluster_folders
from tunnelfleet.manifests.kustomize import Kustomize, KustomizeFailed, find_kustomize

INVALID = REPOSITORY / "tests" / "policies" / "invalid"


@dataclass(frozen=True, slots=True)
class Expected:
    """A finding as a recipe expects it."""

    policy: str
    place: str
    line: str
    message: str
    hint: str

    def __str__(self) -> str:
        text = {key: getattr(self, key) for key in ("policy", "place", "line", "message", "hint")}
        return "".join(yaml.safe_dump([text], sort_keys=False, width=10_000, allow_unicode=True))

    def is_met_by(self, found: Expected) -> bool:
        """Whether this is what was found."""
        mine, its = (self.policy, self.place, self.line), (found.policy, found.place, found.line)
        return mine == its and _fits(self.message, found.message) and _fits(self.hint, found.hint)


def _fits(expected: str, found: str) -> bool:
    return found.startswith(expected[:-3]) if expected.endswith("...") else found == expected


@dataclass(frozen=True, slots=True)
class Recipe:
    """One recipe, read."""

    cluster: str
    changes: list[Any]
    expect: list[Expected]
    beside: str | None = None


def read_recipe(path: Path) -> Recipe:
    """The recipe in a file."""
    data = yaml.safe_load(path.read_text("utf-8"))
    expect = [Expected(**{key: str(value) for key, value in each.items()}) for each in data["expect"]]
    return Recipe(data.get("cluster", "iceland-gcp"), data["changes"], expect, data.get("beside"))


def follow(recipe: Recipe, root: Path) -> None:
    """Makes the copy, in place of an earlier one, and changes it."""
    shutil.rmtree(root, ignore_errors=True)
    copy_of_this(root, recipe.cluster, *([recipe.beside] if recipe.beside else []))
    for change in recipe.changes:
        if change == "generate":
            folders = cluster_folders(root)
            for outcome in generating.generate_all(root, folders, everything=False, write=True):
                assert not outcome.findings, outcome.findings
        else:
            _change(root / change["file"], change)


def _change(path: Path, change: dict[str, Any]) -> None:
    if change.get("delete"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    elif "write" in change:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(change["write"], "utf-8")
    elif "append" in change:
        path.write_text(path.read_text("utf-8") + change["append"], "utf-8")
    else:
        text = path.read_text("utf-8")
        times = text.count(change["find"])
        assert times == 1 or (times and change.get("every")), f"{path}: {change['find']!r} stands there {times} times"
        path.write_text(text.replace(change["find"], change["put"]), "utf-8")


def findings(recipe: Recipe, root: Path) -> list[Expected]:
    """What the gate says of the changed copy."""
    report = checking.check(root, kustomize(), {recipe.cluster})
    return [_shown(root, finding) for finding in report.findings]


def _shown(root: Path, finding: Finding) -> Expected:
    place = root / finding.location.file
    lines = place.read_text("utf-8", "replace").split("\n") if place.is_file() else []
    number = finding.location.line
    line = lines[number - 1].strip() if number <= len(lines) else str(number)
    return Expected(finding.policy, finding.location.file, line, finding.message, finding.hint)


@dataclass(frozen=True, slots=True)
class _Built:
    """What came of a tree, and the configuration files that it held: path -> text."""

    output: bytes
    configurations: dict[str, str]


@dataclass(frozen=True)
class _Remembering(Kustomize):
    """Builds each tree once, whatever its configuration files say.

    kustomize copies those into ConfigMaps as they are, so other text is put in place of the text that was built. The
    hash in the ConfigMap's name then is that of the old text, which nothing looks at.
    """

    built: dict[str, _Built] = field(default_factory=dict, compare=False)

    def build(self, folder: Path, timeout: float = 120.0) -> bytes:
        root = folder.parents[1]
        digest = hashlib.sha256(folder.name.encode())
        configurations = {}
        for path in sorted(path for part in ("base", "overlays") for path in (root / part).rglob("*")):
            if path.is_file():
                name, content = path.relative_to(root).as_posix(), path.read_bytes()
                digest.update(name.encode() + b"\0")
                if path.parent.parent == folder and path.suffix in (".conf", ".json"):
                    configurations[name] = content.decode()
                else:
                    digest.update(content)
        known = self.built.get(digest.hexdigest())
        if known is None:
            known = self.built[digest.hexdigest()] = _Built(super().build(folder, timeout), configurations)
        return _with_texts(known, configurations) or super().build(folder, timeout)


def _with_texts(built: _Built, configurations: dict[str, str]) -> bytes | None:
    """The output with other texts in it; None where the old one is not found once, or the new one is no plain block."""
    output = built.output
    for name, text in configurations.items():
        old, new = _block(built.configurations[name]), _block(text)
        if old != new:
            if output.count(old) != 1 or text != text.strip() + "\n" or re.search(r"[^\n -~]| \n", text):
                return None
            output = output.replace(old, new)
    return output


def _block(text: str) -> bytes:
    """The text as kustomize prints it below a key of a ConfigMap."""
    return re.sub(r"(?m)^(?=.)", "    ", text).encode()


def build_ahead(recipe: Recipe) -> None:
    """Builds what the recipe makes of the tree, so that it is there when the gate asks for it."""
    with tempfile.TemporaryDirectory(prefix="recipe.") as folder, suppress(KustomizeFailed):
        follow(recipe, Path(folder) / "repository")
        kustomize().build(Path(folder) / "repository" / "overlays" / recipe.cluster)


@cache
def kustomize() -> Kustomize:
    """The kustomize of this machine, which remembers what it built."""
    found = find_kustomize()
    return _Remembering(found.command, found.version)
