"""Policies on rendered manifests and on the tree: every defect that a fixture makes is found, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.fleets import REPOSITORY
from tests.support.recipes import INVALID, build_ahead, findings, follow, kustomize, read_recipe
from tests.support.repositories import copy_of_this
from tunnelfleet import checking
from tunnelfleet.manifests.kustomize import Kustomize
from tunnelfleet.policies.registry import Scope, policies

POLICIES = [policy.name for policy in policies(Scope.RENDERED, Scope.TREE)]
FIXTURES = sorted(path for name in POLICIES for path in (INVALID / name).glob("*"))


def name_of(fixture: Path) -> str:
    return fixture.relative_to(INVALID).as_posix()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One place for all copies, so that schemas are compiled once."""
    return tmp_path_factory.mktemp("recipes") / "repository"


@pytest.fixture(scope="module")
def builds(request: pytest.FixtureRequest) -> Iterator[dict[Path, Future[None]]]:
    """kustomize at work on the fixtures that are wanted, as many at a time as there are processors."""
    kustomize()
    names = {item.name for item in request.session.items}
    wanted = [fixture for fixture in FIXTURES if any(f"[{name_of(fixture)}]" in name for name in names)]
    with ThreadPoolExecutor(checking.available_processors()) as pool:
        yield {fixture: pool.submit(build_ahead, read_recipe(fixture)) for fixture in wanted}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("fixture", FIXTURES, ids=name_of)
def test_a_defect_is_found_at_its_place(fixture: Path, root: Path, builds: dict[Path, Future[None]]) -> None:
    recipe = read_recipe(fixture)
    builds[fixture].result()
    follow(recipe, root)
    found = findings(recipe, root)
    surplus = [each for each in found if not any(wanted.is_met_by(each) for wanted in recipe.expect)]
    missing = [wanted for wanted in recipe.expect if not any(wanted.is_met_by(each) for each in found)]
    words = [f"found, but not expected:\n{each}" for each in surplus]
    words += [f"expected, but not found:\n{each}" for each in missing]
    assert not words, "\n".join(["", *words])
    assert len(found) == len(recipe.expect)
    assert fixture.parent.name in {each.policy for each in found}


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_has_a_fixture(name: str) -> None:
    assert any(path.parent.name == name for path in FIXTURES), f"tests/policies/invalid/{name}/ holds no recipe"


@pytest.mark.parametrize("fixture", FIXTURES, ids=name_of)
def test_a_fixture_says_how_it_comes_about(fixture: Path) -> None:
    assert fixture.read_text("utf-8").startswith("# ")


def test_the_examples_of_the_repository_pass() -> None:
    report = checking.check(REPOSITORY, kustomize())
    assert [f"{finding.location}: {finding.policy}: {finding.message}" for finding in report.findings] == []


def test_what_is_remembered_is_what_would_be_built(tmp_path: Path) -> None:
    recipe = read_recipe(INVALID / "rendered-selectors-match" / "selector-narrowed.yaml")
    remembering = kustomize()
    overlay = copy_of_this(tmp_path, recipe.cluster) / "overlays" / recipe.cluster
    remembering.build(overlay)
    follow(recipe, tmp_path)

    def without_hashes(output: bytes) -> str:
        return re.sub(r"(ipsec-[a-z-]+)-[0-9a-z]{10}\b", r"\1", output.decode())

    remembered = without_hashes(remembering.build(overlay))
    assert "remote_ts = 10.0.0.0/16" in remembered
    assert remembered == without_hashes(Kustomize.build(remembering, overlay))
