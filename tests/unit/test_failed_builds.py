"""What kustomize says when it fails, in its own words and in kubectl's, made short and given a place."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tunnelfleet.manifests.kustomize import KustomizeFailed
from tunnelfleet.policies.rendering import failed_build

WITHIN = (
    "accumulating resources: accumulation err='accumulating resources from 'gateway-a': "
    "'{root}/overlays/north/gateway-a' must resolve to a file': "
    "recursed accumulation of path '{root}/overlays/north/gateway-a': "
    "accumulating resources: accumulation err='accumulating resources from '../../../base/app': "
    "'{root}/base/app' must resolve to a file': recursed accumulation of path '{root}/base/app': "
)
KUBECTL = 'E1123 01:35:13.999037   17384 run.go:72] "command failed" err="{said}"'
KUBECTL_LINES = 'E1123 01:35:14.730471   17427 run.go:72] "command failed" err=<\n\t{said}\n >'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("overlays/north/gateway-a", "base/app"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "kustomization.yaml").write_text(
            "resources:\n  - deployment.yaml\nconfigMapGenerater: []\n"
        )
    (tmp_path / "base/app/deployment.yaml").write_text("kind: Deployment\nmetadata: ]\n")
    return tmp_path


@pytest.mark.parametrize("shape", ["{said}", KUBECTL, KUBECTL_LINES], ids=["kustomize", "kubectl", "kubectl-lines"])
@pytest.mark.parametrize(
    ("said", "message", "place"),
    [
        (
            WITHIN + "accumulating resources: accumulating resources from 'deployment.yaml': "
            "MalformedYAMLError: yaml: line 2: did not find expected node content in File: deployment.yaml",
            "accumulating resources from 'deployment.yaml': MalformedYAMLError: yaml: line 2: did not find expected "
            "node content in File: deployment.yaml",
            "base/app/deployment.yaml:2:11",
        ),
        (
            WITHIN + "loading KV pairs: file sources: [start]: lstat {root}/base/app/start: no such file or directory",
            "loading KV pairs: file sources: [start]: lstat base/app/start: no such file or directory",
            "base/app/kustomization.yaml:1:1",
        ),
        (
            "couldn't make target for path '{root}/base/app': invalid Kustomization: json: unknown field "
            '"configMapGenerater"',
            'invalid Kustomization: json: unknown field "configMapGenerater"',
            "base/app/kustomization.yaml:3:1",
        ),
        (
            "unable to find one of 'kustomization.yaml' in directory '{root}/overlays/north'",
            "unable to find one of 'kustomization.yaml' in directory 'overlays/north'",
            "overlays/north/kustomization.yaml:1:1",
        ),
        ("it failed without a message", "it failed without a message", "overlays/north/kustomization.yaml:1:1"),
    ],
    ids=["broken-file", "missing-file", "unknown-key", "nothing-there", "no-words"],
)
def test_a_failure_is_told_in_its_last_words(root: Path, shape: str, said: str, message: str, place: str) -> None:
    words = said.replace("{root}", str(root))
    escaped = words.replace('"', '\\"') if shape == KUBECTL else words
    finding = failed_build(root, "north", KustomizeFailed(root / "overlays/north", shape.replace("{said}", escaped)))
    assert finding.message == f"kustomize cannot build overlays/north: {message}"
    assert str(finding.location) == place
    assert (finding.policy, finding.cluster) == ("overlay-renders", "north")


def test_output_that_is_no_yaml_is_a_failure_too(root: Path) -> None:
    finding = failed_build(root, "north", yaml.YAMLError("bad"))
    assert finding.message == "kustomize cannot build overlays/north: its output cannot be read: bad"
