"""The examples of policies on rendered manifests and on the tree: each is put into a copy of the repository.

An example begins with a comment that names its file, or is an object that stands in base/ or beside the cluster.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.fleets import REPOSITORY
from tests.support.recipes import Recipe, findings, follow
from tunnelfleet.policies.registry import Policy, Scope, policies

POLICIES = policies(Scope.RENDERED, Scope.TREE)
CLUSTER = "iceland-gcp"
OBJECTS = {
    "Deployment": "base/strongswan/deployment.yaml",
    "DaemonSet": "base/routes/daemonset.yaml",
    "Kustomization": f"clusters/{CLUSTER}/flux-tunnel.yaml",
    "Secret": "secret.yaml",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("examples") / "repository"


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
class TestExamples:
    def test_the_failing_one_fails(self, policy: Policy, root: Path) -> None:
        assert policy.name in failed(policy.failing, root)

    def test_the_passing_one_passes(self, policy: Policy, root: Path) -> None:
        assert policy.name not in failed(policy.passing, root)


def failed(example: str, root: Path) -> set[str]:
    """The policies that a copy of the repository fails with the example in it."""
    named = re.match(r"# ([^\s,]+)", example)
    file = named[1] if named else OBJECTS[yaml.safe_load(example)["kind"]]
    there = (REPOSITORY / file).read_text("utf-8") if (REPOSITORY / file).exists() else ""
    changed = with_statement(there, example) if file.endswith(".conf") else with_object(there, example)
    generated = ["generate"] if file.endswith("/cluster.yaml") else []
    rules = {"file": ".sops.yaml", "write": (REPOSITORY / ".sops.yaml").read_text("utf-8")}
    recipe = Recipe(CLUSTER, [rules, {"file": file, "write": changed}, *generated], [])
    follow(recipe, root)
    return {each.policy for each in findings(recipe, root)}


def with_statement(text: str, example: str) -> str:
    """The configuration with the example's statement in place of the first that begins as it does."""
    (statement,) = (line for line in example.splitlines() if not line.startswith("#"))
    begin = re.escape(re.split(r"(?<= =)|(?<=permit)", statement)[0])
    changed, times = re.subn(rf"(?m)^(\s*){begin} .*$", rf"\g<1>{statement}", text, count=1)
    assert times == 1, f"nothing begins like {statement!r}"
    return changed


def with_object(text: str, example: str) -> str:
    """The YAML file with the example laid over what stands there."""
    below = yaml.safe_load(text) or {}
    return yaml.safe_dump(laid_over(below, yaml.safe_load(example)), sort_keys=False)


def laid_over(below: Any, above: Any) -> Any:
    """Mappings key by key, lists of named things by name, of other mappings one by one; anything else is replaced."""
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {key: laid_over(below.get(key), value) for key, value in above.items()}
    if not (isinstance(below, list) and isinstance(above, list) and all(isinstance(item, dict) for item in above)):
        return above
    items = list(below)
    for number, item in enumerate(above):
        names = [each.get("name") for each in below]
        place = names.index(item["name"]) if "name" in item else number
        items[place] = laid_over(items[place], item)
    return items
