"""The policy that building an overlay implements: one that kustomize cannot build is a finding of this one."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tunnelfleet.findings import Finding, Location, Severity
from tunnelfleet.generate.files import OVERLAYS
from tunnelfleet.inventory.document import read
from tunnelfleet.manifests.kustomize import KustomizeFailed
from tunnelfleet.manifests.origin import KUSTOMIZATION
from tunnelfleet.policies.registry import Policy, Scope, register

RENDERS = "overlay-renders"

register(
    Policy(
        name=RENDERS,
        scope=Scope.RENDERED,
        severity=Severity.ERROR,
        asks="kustomize builds every overlay, from the tree alone.",
        why="Flux runs the same build: where it fails, nothing of the cluster is applied any more.",
        failing="# overlays/iceland-gcp/kustomization.yaml\nresources:\n  - ../../base/strongswam",
        passing="# overlays/iceland-gcp/kustomization.yaml\nresources:\n  - ../../base/strongswan",
        check=None,
    )
)

# kubectl logs what kustomize itself prints.
_LOGGED = re.compile(r'E\d{4} [\d:.]+\s+\d+ \S+\] "command failed" err=(?:"(?P<line>.*)"|<\n(?P<lines>.*)\n >)', re.S)
# Each level of folders adds its words; the last one is what went wrong.
_WITHIN = re.compile(r"(?:recursed accumulation of|couldn't make target for) path '(?P<path>[^']+)': ")
_STEP = re.compile(r"accumulating (?:resources|components): (?:accumulation err=')?")
_FILE = re.compile(r"(?:in File: |(?:resources|components) from ')(?P<file>[\w./-]+)")
_QUOTE = re.compile(r"\\+\"")
_QUOTED = re.compile(r"['\"]([\w./-]+)['\"]")


def failed_build(root: Path, cluster: str, error: KustomizeFailed | yaml.YAMLError) -> Finding:
    """What to say of an overlay that cannot be built: at the file that kustomize names, where it names one."""
    said = error.stderr if isinstance(error, KustomizeFailed) else f"its output cannot be read: {error}"
    if logged := _LOGGED.fullmatch(said.strip()):
        said = logged["line"] or logged["lines"]
    said = _QUOTE.sub('"', said)
    folder = f"{OVERLAYS}/{cluster}"
    for within in _WITHIN.finditer(said):
        folder = within["path"].removeprefix(f"{root.absolute()}/")
    said = _WITHIN.split(said)[-1]
    reason = " ".join(_STEP.sub("", said).replace(f"{root.absolute()}/", "").split())
    reason = reason.rstrip('"') if reason.count('"') % 2 else reason
    location = _location(root, folder, reason)
    message = f"kustomize cannot build {OVERLAYS}/{cluster}: {reason}"
    hint = f"what base/ or a person changed is mended there; for the rest run `tunnelfleet generate {cluster}`"
    return Finding(RENDERS, Severity.ERROR, cluster, location, message, hint)


def _location(root: Path, folder: str, reason: str) -> Location:
    """The mistake in the file that is named, else the line of the kustomization.yaml that names what is missing."""
    found = _FILE.search(reason)
    if found and (root / folder / found["file"]).is_file():
        _, problems = read(root, root / folder / found["file"])
        return problems[0].location if problems else Location(f"{folder}/{found['file']}")
    kustomization = f"{folder}/{KUSTOMIZATION}"
    try:
        lines = (root / kustomization).read_text("utf-8").split("\n")
    except (OSError, ValueError):
        return Location(kustomization)
    for word in _QUOTED.findall(reason):
        for number, line in enumerate(lines, 1):
            if line.lstrip(" -").split(":")[0].endswith(word.split("/")[-1]):
                return Location(kustomization, number, len(line) - len(line.lstrip(" -")) + 1, len(line) + 1)
    return Location(kustomization)
