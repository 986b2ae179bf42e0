"""Where a rendered value comes from: through resources, components and patches back to the line to be changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fleets import REPOSITORY
from tests.support.rendering import rendered
from tunnelfleet.inventory.document import YamlPath
from tunnelfleet.manifests.origin import origin, written
from tunnelfleet.manifests.rendered import Manifest

POD: YamlPath = ("spec", "template", "spec")


def file(root: Path, path: str, text: str) -> None:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An overlay of two folders with the same base, a component and patches."""
    file(
        tmp_path,
        "overlays/north/kustomization.yaml",
        "resources: [gateway-a, gateway-b]\ncomponents: [../../base/image]\n",
    )
    for name in "ab":
        folder = f"overlays/north/gateway-{name}"
        text = f"nameSuffix: -{name}\nresources: [../../../base/app]\npatches: [{{path: patch.yaml}}]\n"
        file(tmp_path, f"{folder}/kustomization.yaml", text)
        patch = f"kind: Deployment\nmetadata: {{name: app}}\nspec:\n  template:\n    spec:\n      node: {name}\n"
        file(tmp_path, f"{folder}/patch.yaml", patch)
    file(
        tmp_path,
        "base/app/kustomization.yaml",
        "resources: [deployment.yaml]\ncomponents: [sidecar]\npatches:\n- patch: |\n"
        "    kind: Deployment\n    metadata: {name: app}\n    spec: {paused: true}\n",
    )
    file(
        tmp_path,
        "base/app/deployment.yaml",
        "kind: Deployment\nmetadata:\n  name: app\nspec:\n  replicas: 2\n  template:\n    spec:\n      grace: 5\n"
        "      containers:\n      - name: main\n        image: app\n        args: [a, b]\n        ports:\n"
        "        - containerPort: 80\n",
    )
    file(tmp_path, "base/app/sidecar/kustomization.yaml", "kind: Component\npatches: [{path: deployment.yaml}]\n")
    file(
        tmp_path,
        "base/app/sidecar/deployment.yaml",
        "kind: Deployment\nmetadata: {name: app}\nspec:\n  template:\n    spec:\n      grace: 9\n"
        "      containers:\n      - name: side\n        image: app\n",
    )
    image = (
        "kind: Component\nimages:\n- {name: other, newName: x}\n- {name: app, newName: example.com/app, newTag: '1'}\n"
    )
    file(tmp_path, "base/image/kustomization.yaml", image)
    return tmp_path


def manifest(name: str = "app-a") -> Manifest:
    """What kustomize would make of it: the sidecar comes first."""
    containers = [
        {"name": "side", "image": "example.com/app:1"},
        {"name": "main", "image": "example.com/app:1", "args": ["a", "b"], "ports": [{"containerPort": 80}]},
    ]
    pod = {"grace": 9, "node": name[-1], "containers": containers}
    spec = {"replicas": 2, "paused": True, "template": {"spec": pod}}
    return Manifest({"kind": "Deployment", "metadata": {"name": name}, "spec": spec})


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("spec", "replicas"), "base/app/deployment.yaml:5:13"),
        # set twice: the patch wins
        ((*POD, "grace"), "base/app/sidecar/deployment.yaml:6:14"),
        ((*POD, "node"), "overlays/north/gateway-a/patch.yaml:6:13"),
        # by name, whatever their order
        ((*POD, "containers", 1, "args", 1), "base/app/deployment.yaml:12:19"),
        ((*POD, "containers", 1, "ports", 0, "containerPort"), "base/app/deployment.yaml:14:26"),
        ((*POD, "containers", 0), "base/app/sidecar/deployment.yaml:8:9"),
        # what has items of its own: its key
        ((*POD, "containers", 1, "args"), "base/app/deployment.yaml:12:9"),
        # what is missing: the object it is missing from
        ((*POD, "containers", 1, "livenessProbe"), "base/app/deployment.yaml:10:9"),
        ((*POD, "priority"), "base/app/deployment.yaml:7:5"),
        # within a kustomization
        ((*POD, "containers", 1, "image"), "base/image/kustomization.yaml:4:3"),
        (("spec", "paused"), "base/app/kustomization.yaml:4:10"),
    ],
    ids=str,
)
def test_a_value_is_found_where_it_was_written(root: Path, path: YamlPath, place: str) -> None:
    assert str(origin(root, "north", manifest(), path)) == place


def test_of_two_gateways_each_has_its_own_patch(root: Path) -> None:
    places = [origin(root, "north", manifest(name), (*POD, "node")).file for name in ("app-a", "app-b")]
    assert places == ["overlays/north/gateway-a/patch.yaml", "overlays/north/gateway-b/patch.yaml"]


@pytest.mark.parametrize(
    "other",
    [
        manifest("app-c"),
        manifest("app"),
        Manifest({"kind": "DaemonSet", "metadata": {"name": "app-a"}}),
        Manifest({}),
        Manifest({"kind": None, "metadata": []}),
    ],
    ids=str,
)
def test_what_nobody_wrote_is_the_overlays(root: Path, other: Manifest) -> None:
    assert origin(root, "north", other, ("spec", "replicas")).file == "overlays/north/kustomization.yaml"


def test_an_image_that_is_not_replaced_is_the_containers(root: Path) -> None:
    other = Manifest(
        {
            "kind": "Deployment",
            "metadata": {"name": "app-a"},
            "spec": {"template": {"spec": {"containers": [{"name": "main", "image": "busybox"}]}}},
        }
    )
    assert str(origin(root, "north", other, (*POD, "containers", 0, "image"))) == "base/app/deployment.yaml:11:16"


def test_only_what_is_written_counts_as_written(root: Path) -> None:
    assert written(root, "north", manifest(), ("metadata", "namespace")) is None
    assert str(written(root, "north", manifest(), ("spec", "replicas"))) == "base/app/deployment.yaml:5:13"


def test_a_change_is_seen_at_once(root: Path) -> None:
    assert origin(root, "north", manifest(), ("spec", "replicas")).line == 5
    path = root / "base/app/deployment.yaml"
    path.write_text("# moved\n" + path.read_text())
    assert origin(root, "north", manifest(), ("spec", "replicas")).line == 6


@pytest.mark.parametrize(
    "text",
    [
        "resources: [.]",
        "resources: [../north, ../../../../etc, /etc, 'https://example.com/x', 7, null, '']",
        "resources: x\ncomponents: {}\npatches: [1, {path: 2}, {patch: 'x: ['}, {patch: 3}]",
        "namePrefix: 3\nnameSuffix: []\nimages: [x, {newName: 1}]\nkind: Kustomization",
        "[]",
        "a: [",
    ],
)
def test_odd_kustomizations_lead_nowhere(tmp_path: Path, text: str) -> None:
    file(tmp_path, "overlays/north/kustomization.yaml", text)
    place = origin(tmp_path, "north", manifest(), (*POD, "containers", 0, "image"))
    assert place.file == "overlays/north/kustomization.yaml"


def test_without_an_overlay_there_is_still_a_place(tmp_path: Path) -> None:
    assert origin(tmp_path, "north", manifest(), ()).file == "overlays/north/kustomization.yaml"


def test_every_workload_of_the_repository_is_found() -> None:
    for each in rendered().manifests:
        if each.kind in ("Deployment", "DaemonSet"):
            image = origin(REPOSITORY, "iceland-gcp", each, (*POD, "containers", 0, "image"))
            assert image.file == "base/image/kustomization.yaml"
            resources = origin(
                REPOSITORY, "iceland-gcp", each, (*POD, "containers", 0, "resources", "limits", "memory")
            )
            assert resources.file.startswith("base/")
            assert "memory:" in (REPOSITORY / resources.file).read_text().splitlines()[resources.line - 1]
