"""Fixtures of policies. What a fixture is to be refused for stands in its own comments:

    # expect: <policy> [<file>:]<line>:<column> <message>
    # hint: <hint>

The file is left out where the finding is about the file that the comment is in. A fixture is one cluster.yaml, or
a folder that is a whole repository.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tunnelfleet.findings import Finding
from tunnelfleet.inventory.loading import CLUSTERS, INVENTORY, cluster_folders, load
from tunnelfleet.policies.registry import run_cluster, run_fleet

FIXTURES = Path(__file__).parent
INVALID = FIXTURES / "invalid"
VALID = FIXTURES / "valid"
FOLDER = "iceland-prod"
"""The folder that a fixture of one file is put into."""

_EXPECT = re.compile(r"\s*# expect: ([a-z0-9-]+) (?:(\S+):)?([0-9]+):([0-9]+) (.*)")
_HINT = re.compile(r"\s*# hint: (.*)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finding says, as a fixture expects it."""

    policy: str
    place: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.place} [{self.policy}] {self.message}\n      hint: {self.hint or '(none)'}"


def fixtures(policies: Collection[str]) -> list[Path]:
    """The fixtures that one of these policies refuses: every entry of invalid/<policy>/."""
    folders = (INVALID / policy for policy in policies)
    return sorted(path for folder in folders if folder.is_dir() for path in folder.iterdir())


def lay_out(fixture: Path, root: Path) -> None:
    """Puts a fixture into an empty folder as a repository."""
    if fixture.is_dir():
        shutil.copytree(fixture, root, symlinks=True, dirs_exist_ok=True)
    else:
        folder = root / CLUSTERS / FOLDER
        folder.mkdir(parents=True)
        shutil.copyfile(fixture, folder / INVENTORY)


def expected(root: Path) -> list[Outcome]:
    """What the comments in the files under `root` expect."""
    return [outcome for path in sorted(root.rglob("*")) if path.is_file() for outcome in _expected_in(root, path)]


def _expected_in(root: Path, path: Path) -> Iterator[Outcome]:
    lines = path.read_bytes().decode("utf-8", "replace").split("\n")
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        found = _EXPECT.fullmatch(line)
        if found:
            policy, file, row, column, message = found.groups()
            hint = _HINT.fullmatch(following)
            place = f"{file or path.relative_to(root).as_posix()}:{row}:{column}"
            yield Outcome(policy, place, message, hint[1] if hint else "")


def outcome(finding: Finding) -> Outcome:
    """A finding as a fixture expects it."""
    return Outcome(finding.policy, str(finding.location), finding.message, finding.hint)


def assert_expected(found: Iterable[Finding], root: Path) -> None:
    """Fails, saying what was found and what was wanted, unless exactly the expected findings are there."""
    have, want = Counter(outcome(finding) for finding in found), Counter(expected(root))
    surplus = [f"found, but not wanted:\n    {each}" for each in (have - want).elements()]
    missing = [f"wanted, but not found:\n    {each}" for each in (want - have).elements()]
    assert not surplus + missing, "\n".join(["", *surplus, *missing])


def inventory_findings(root: Path) -> list[Finding]:
    """What reading finds, and the policies of one cluster and of the fleet."""
    found: list[Finding] = []
    fleet = []
    for folder in cluster_folders(root):
        reading = load(root, folder)
        found += reading.findings
        if reading.loaded is not None:
            fleet.append(reading.loaded)
            found += run_cluster(reading.loaded)
    return found + run_fleet(fleet)
