"""What the README shows is what the commands print, and what it points at is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.fleets import REPOSITORY
from tests.support.repositories import copy_of_this, tunnelfleet

pytestmark = pytest.mark.examples
README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
DOCS = sorted(path.relative_to(REPOSITORY).as_posix() for path in REPOSITORY.glob("docs/*.md"))


def printed(*arguments: str, root: Path) -> str:
    output = tunnelfleet(*arguments, root=root).out
    return "".join(f"{line.rstrip()}\n" for line in output.splitlines())


def test_the_table_of_the_example_fleet() -> None:
    assert printed("check", root=REPOSITORY) in BLOCKS


def test_the_finding_about_a_forgotten_range(tmp_path: Path) -> None:
    path = copy_of_this(tmp_path) / "clusters/iceland-gcp/cluster.yaml"
    path.write_text(path.read_text().replace(", 10.131.0.0/16]", "]"))
    assert printed("check", "iceland-gcp", root=tmp_path) in BLOCKS


def test_the_folders_of_a_cluster_and_of_the_repository() -> None:
    cluster, repository = (block for block in BLOCKS if block.startswith(("clusters/iceland-gcp/\n", "base/ ")))
    for line in cluster.splitlines():
        for name in re.findall(r"[\w-]+\.(?:yaml|conf)", line.split("  ")[1] if line.startswith(" ") else ""):
            assert list(REPOSITORY.glob(f"*/iceland-gcp/**/{name}")) or "*" in line, name
    for line in repository.splitlines():
        assert (REPOSITORY / line.split("/")[0]).is_dir(), line


def test_the_commands_are_those_that_exist() -> None:
    listed = set(re.findall(r"`tunnelfleet ([a-z-]+)", README))
    for command in sorted(listed):
        assert tunnelfleet(command, "--help").code == 0, command
    targets = set(re.findall(r"(?:`|\$ )(?:sudo )?make ([a-z-]+)", README))
    makefiles = "".join((REPOSITORY / name).read_text() for name in ("Makefile", "images/image.mk", "tests/lab/lab.mk"))
    for target in sorted(targets):
        assert re.search(rf"^{target}:", makefiles, re.MULTILINE), target


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *DOCS])
def test_links_lead_somewhere(page: str) -> None:
    path = REPOSITORY / page
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text()):
        if not target.startswith("https://"):
            assert (path.parent / target).exists(), f"{page}: {target}"
