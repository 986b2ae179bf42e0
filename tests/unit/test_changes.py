"""A change touches the clusters that it names, or all of them where it touches what they share."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tunnelfleet.changes import GitFailed, changed_clusters, clusters_of


@pytest.mark.parametrize(
    ("paths", "clusters"),
    [
        (["clusters/north/cluster.yaml", "README.md"], {"north"}),
        (["overlays/south/routes/frr.conf", "clusters/north/secrets/a.yaml"], {"north", "south"}),
        (["docs/policies.md"], set()),
        (["base/frr/kustomization.yaml", "clusters/north/cluster.yaml"], None),
        (["scripts/tunnelfleet/cli.py"], None),
    ],
)
def test_paths_belong_to_clusters(paths: list[str], clusters: set[str] | None) -> None:
    assert clusters_of(paths) == clusters


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    write(tmp_path, "north", "1")
    write(tmp_path, "south", "1")
    commit(tmp_path)
    return tmp_path


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def write(root: Path, cluster: str, text: str) -> None:
    path = root / "clusters" / cluster / "cluster.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def commit(root: Path) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-qm", "change")


def test_nothing_changed(repository: Path) -> None:
    assert changed_clusters(repository, "HEAD") == set()


def test_committed_uncommitted_and_untracked_changes_count(repository: Path) -> None:
    write(repository, "north", "2")
    commit(repository)
    write(repository, "south", "2")
    write(repository, "west", "1")
    assert changed_clusters(repository, "main~1") == {"north", "south", "west"}


def test_what_the_other_branch_did_meanwhile_does_not_count(repository: Path) -> None:
    git(repository, "checkout", "-qb", "change")
    write(repository, "north", "2")
    commit(repository)
    git(repository, "checkout", "-q", "main")
    write(repository, "south", "2")
    commit(repository)
    git(repository, "checkout", "-q", "change")
    assert changed_clusters(repository, "main") == {"north"}


@pytest.mark.parametrize("revision", ["no-such-branch", "--output=/tmp/x", ""])
def test_an_unknown_revision_is_refused(repository: Path, revision: str) -> None:
    with pytest.raises(GitFailed):
        changed_clusters(repository, revision)


def test_outside_git_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(GitFailed):
        changed_clusters(tmp_path, "HEAD")
