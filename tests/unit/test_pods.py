"""Pods of rendered manifests: their containers wherever they are, what they mount, what they may do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.fleets import REPOSITORY
from tests.support.rendering import rendered
from tunnelfleet.inventory.loading import cluster_folders
from tunnelfleet.manifests.pods import Pod, Source, pods, source_of
from tunnelfleet.manifests.rendered import Manifest, at, sequence
from tunnelfleet.policies.privileges import ALLOWED, allowed_for, refused_privileges

HARMLESS = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(spec: dict[str, Any], kind: str = "Deployment", name: str = "other", **metadata: Any) -> Pod:
    """The pod of a workload that no list knows."""
    spec = {"automountServiceAccountToken": False, **spec}
    template = {"metadata": metadata, "spec": spec}
    data: dict[str, Any] = {"kind": kind, "metadata": {"name": name}, "spec": {"template": template}}
    if kind == "CronJob":
        data["spec"] = {"jobTemplate": {"spec": data["spec"]}}
    if kind == "Pod":
        data["spec"] = spec
    (found,) = pods([Manifest(data)])
    return found


def container(**changes: Any) -> dict[str, Any]:
    return {"name": "main", "securityContext": HARMLESS | changes}


def refused(found: Pod) -> list[tuple[str, str]]:
    return [("/".join(map(str, each.path)), each.message) for each in refused_privileges(found)]


class TestContainers:
    @pytest.mark.parametrize("kind", ["Deployment", "DaemonSet", "StatefulSet", "Job", "CronJob", "Pod"])
    def test_they_are_found_in_every_kind_of_workload(self, kind: str) -> None:
        found = pod({"containers": [{"name": "main"}]}, kind)
        (main,) = found.containers
        assert at(found.manifest.data, main.path) == {"name": "main"}

    def test_of_every_sort(self) -> None:
        spec = {section: [{"name": section}] for section in ("ephemeralContainers", "containers", "initContainers")}
        assert [each.name for each in pod(spec).containers] == ["initContainers", "containers", "ephemeralContainers"]

    def test_which_of_them_stay(self) -> None:
        init = [{"name": "once"}, {"name": "sidecar", "restartPolicy": "Always"}]
        spec = {"initContainers": init, "containers": [{"name": "main"}]}
        assert [each.name for each in pod(spec).containers if each.stays] == ["sidecar", "main"]
        assert [each.name for each in pod(spec, "Job").containers if each.stays] == []

    def test_what_starts_no_pod_has_none(self) -> None:
        assert list(pods([Manifest({"kind": "ConfigMap", "spec": {"template": {"spec": {}}}}), Manifest({})])) == []


class TestMounts:
    MOUNTS = (
        {"name": "config", "mountPath": "/etc/app"},
        {"name": "config", "mountPath": "/etc/app/nested", "subPath": "inner"},
        {"name": "config", "mountPath": "/etc/app.conf", "subPath": "main.conf"},
        {"name": "items", "mountPath": "/items/"},
        {"name": "keys", "mountPath": "/keys"},
        {"name": "secret", "mountPath": "/secret"},
        {"name": "memory", "mountPath": "/memory"},
        {"name": "lost", "mountPath": "/lost"},
        {"name": 7, "mountPath": None},
    )
    VOLUMES = (
        {"name": "config", "configMap": {"name": "app-1"}},
        {"name": "items", "configMap": {"name": "app-2", "items": [{"key": "a", "path": "b/c"}, {"key": "d"}]}},
        {
            "name": "keys",
            "projected": {
                "sources": [
                    {"secret": {"name": "psk", "items": [{"key": "site-a", "path": "one"}]}},
                    {"configMap": {"name": "rest"}},
                ]
            },
        },
        {"name": "secret", "secret": {"secretName": "tls"}},
        {"name": "memory", "emptyDir": {}},
        None,
    )

    @pytest.mark.parametrize(
        ("file", "source"),
        [
            ("/etc/app/a.conf", ("ConfigMap", "app-1", "a.conf", 0)),
            ("/etc/app/nested/a.conf", ("ConfigMap", "app-1", "inner/a.conf", 0)),
            ("/etc/app.conf", ("ConfigMap", "app-1", "main.conf", 0)),
            ("/items/b/c", ("ConfigMap", "app-2", "a", 1)),
            ("/items/a", None),
            ("/keys/one", ("Secret", "psk", "site-a", 2)),
            ("/keys/two", ("ConfigMap", "rest", "two", 2)),
            ("/secret/tls.key", ("Secret", "tls", "tls.key", 3)),
            ("/memory/x", None),
            ("/lost/x", None),
            ("/etc/application", None),
            ("/elsewhere", None),
        ],
    )
    def test_a_file_comes_from_its_volume(self, file: str, source: tuple[str, str, str, int] | None) -> None:
        main = {"name": "main", "volumeMounts": list(self.MOUNTS)}
        found = pod({"containers": [main], "volumes": list(self.VOLUMES)})
        expected = source and Source(*source[:3], (*found.path, "volumes", source[3]))
        assert source_of(found, next(found.containers), file) == expected


class TestPrivileges:
    def test_an_ordinary_pod_has_none(self) -> None:
        assert refused(pod({"containers": [container()]})) == []

    @pytest.mark.parametrize(
        ("spec", "path", "message"),
        [
            ({"hostNetwork": True}, "hostNetwork", "uses the node's network"),
            ({"hostPID": True}, "hostPID", "sees the node's processes"),
            ({"hostIPC": True}, "hostIPC", "shares memory with the node's processes"),
            ({"volumes": [{"hostPath": {"path": "/"}}]}, "volumes/0/hostPath", "mounts / of the node"),
            ({"volumes": [{"hostPath": None}]}, "volumes/0/hostPath", "mounts None of the node"),
            ({"securityContext": {"sysctls": [{}]}}, "securityContext/sysctls", "sets sysctls"),
            (
                {"initContainers": [container(privileged=True)]},
                "initContainers/0/securityContext/privileged",
                "container main is privileged",
            ),
            (
                {"ephemeralContainers": [container(privileged=True)]},
                "ephemeralContainers/0/securityContext/privileged",
                "container main is privileged",
            ),
            (
                {"containers": [container(procMount="Unmasked")]},
                "containers/0/securityContext/procMount",
                "container main sees all of /proc",
            ),
            (
                {"containers": [container(seLinuxOptions={"type": "spc_t"})]},
                "containers/0/securityContext/seLinuxOptions",
                "container main chooses its own SELinux label",
            ),
            (
                {"containers": [container() | {"ports": [{"hostPort": 500}]}]},
                "containers/0/ports/0",
                "container main opens port 500 of the node",
            ),
            (
                {"containers": [container(seccompProfile={"type": "Unconfined"})]},
                "containers/0/securityContext/seccompProfile",
                "container main has no seccomp profile",
            ),
            (
                {"containers": [container()], "securityContext": {"appArmorProfile": {"type": "Unconfined"}}},
                "securityContext/appArmorProfile",
                "container main has no AppArmor profile",
            ),
        ],
    )
    @pytest.mark.parametrize("kind", ["Deployment", "CronJob"])
    def test_each_is_refused_at_its_place(self, kind: str, spec: dict[str, Any], path: str, message: str) -> None:
        found = pod(spec, kind)
        assert refused(found) == [("/".join([*map(str, found.path), path]), message)]

    def test_apparmor_may_be_switched_off_by_annotation_too(self) -> None:
        annotations = {"container.apparmor.security.beta.kubernetes.io/main": "unconfined"}
        ((_, message),) = refused(pod({"containers": [container()]}, annotations=annotations))
        assert message == "container main has no AppArmor profile"

    def test_what_a_container_may_another_may_not(self) -> None:
        added = container(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]})
        names = {"name": "agent"}, {"name": "main"}
        found = pod({"containers": [added | name for name in names]}, "DaemonSet", "ipsec-routes-nodes")
        assert [message for _, message in refused(found)] == ["container main has capability NET_ADMIN"]

    def test_the_list_allows_what_is_used_and_nothing_else(self) -> None:
        capabilities: dict[tuple[str, str], set[str]] = {}
        without_apparmor, host_paths = set(), set()
        for folder in cluster_folders(REPOSITORY):
            for found in pods(rendered(folder).manifests):
                base = next(key for key, allowed in ALLOWED.items() if allowed is allowed_for(found.manifest))
                assert found.spec["hostNetwork"] is bool(allowed_for(found.manifest).host_network)
                host_paths |= {at(volume, ("hostPath", "path")) for volume in found.spec["volumes"]} - {None}
                for each in found.containers:
                    added = sequence(at(each.data, ("securityContext", "capabilities", "add")))
                    capabilities.setdefault((base[1], each.name), set()).update(added)
                    if at(each.data, ("securityContext", "appArmorProfile", "type")) == "Unconfined":
                        without_apparmor.add((base[1], each.name))
        assert capabilities == {
            (base, name): set(reasons)
            for (_, base), allowed in ALLOWED.items()
            for name, reasons in allowed.capabilities.items()
        }
        listed = {(base, name) for (_, base), allowed in ALLOWED.items() for name in allowed.without_apparmor}
        assert without_apparmor == listed
        assert host_paths == {path for allowed in ALLOWED.values() for path in allowed.host_paths}

    def test_every_exception_has_its_reason(self) -> None:
        reasons = [
            reason
            for allowed in ALLOWED.values()
            for listed in (*allowed.capabilities.values(), allowed.host_paths, allowed.without_apparmor)
            for reason in listed.values()
        ]
        assert all(len(reason.split()) > 1 for reason in reasons)
