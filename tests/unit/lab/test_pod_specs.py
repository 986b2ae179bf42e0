"""PodSpecs are read whole or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.lab.twin.bundles import Place, User, configuration, environment, expand, resources, user
from tests.lab.twin.fields import ManifestError, quantity
from tests.lab.twin.podspec import ContainerSpec, EmptyDir, Files, Probe, Source, Variable, pod_spec
from tests.lab.twin.seccomp import runtime_default
from tests.lab.twin.volumes import Data, File, files

PLACE = Place("node.example", "192.0.2.1", "pod-1", "tunnels", Path("/run/netns/node"), "twin/pod-1/main")


def workload(spec: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    main = {"name": "main", "image": "any", "command": ["run"], **container}
    pod = {"automountServiceAccountToken": False, "containers": [main], **(spec or {})}
    return {"kind": "Deployment", "metadata": {"name": "gateway"}, "spec": {"template": {"spec": pod}}}


def read(**container: Any) -> ContainerSpec:
    return pod_spec(workload(**container)).containers[0]


def config(spec: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    pod = pod_spec(workload(spec, **container))
    who = User(0, 0, (0,))
    return configuration(pod, pod.containers[0], PLACE, who, Path("/root-fs"), [], apparmor="default")


class TestWhatIsNotKnown:
    @pytest.mark.parametrize(
        ("container", "said"),
        [
            ({"tty": True}, r"containers\[0\] \(main\): the twin does not know tty"),
            ({"livenessProbe": {"httpGet": {"port": 1}}}, "livenessProbe: exec is missing"),
            ({"securityContext": {"privileged": True}}, "privileged: found True"),
            ({"securityContext": {"seccompProfile": {"type": "Localhost"}}}, "type: found 'Localhost'"),
            ({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {}}}]}, "does not know secretKeyRef"),
            (
                {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}]},
                "found 'metadata.uid'",
            ),
            (
                {"volumeMounts": [{"name": "a", "mountPath": "/a", "mountPropagation": "Bidirectional"}]},
                "mountPropagation",
            ),
            ({"volumeMounts": [{"name": "a", "mountPath": "/a"}]}, "main mounts a, which is no volume of the pod"),
            ({"lifecycle": {"postStart": {}}}, "does not know postStart"),
            ({"securityContext": {"runAsNonRoot": True}}, "runAsNonRoot, but the user is root"),
        ],
    )
    def test_of_a_container_is_refused(self, container: dict[str, Any], said: str) -> None:
        with pytest.raises(ManifestError, match=said):
            pod_spec(workload(**container))

    @pytest.mark.parametrize(
        ("spec", "said"),
        [
            ({"initContainers": []}, "Deployment gateway: the twin does not know initContainers"),
            ({"volumes": [{"name": "a", "nfs": {}}]}, r"volumes\[0\]: the twin does not know nfs"),
            ({"automountServiceAccountToken": True}, "automountServiceAccountToken: found True"),
            ({"securityContext": {"sysctls": []}}, "does not know sysctls"),
        ],
    )
    def test_of_a_pod_is_refused(self, spec: dict[str, Any], said: str) -> None:
        with pytest.raises(ManifestError, match=said):
            pod_spec(workload(spec))


class TestContainers:
    def test_capabilities_are_those_added_after_all_were_dropped(self) -> None:
        container = read(securityContext={"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "KILL"]}})
        assert container.capabilities == ("CAP_KILL", "CAP_NET_ADMIN")

    def test_without_a_word_a_container_has_what_containerd_gives(self) -> None:
        container = read()
        assert len(container.capabilities) == 14
        assert not container.no_new_privileges
        assert (container.seccomp, container.apparmor) == (False, True)

    def test_a_probe_has_the_defaults_of_kubernetes(self) -> None:
        assert read(livenessProbe={"exec": {"command": ["a"]}}).liveness == Probe(("a",), 0, 10, 1, 3, 1, None)

    def test_the_pod_says_what_its_containers_do_not(self) -> None:
        context = {"runAsUser": 7, "seccompProfile": {"type": "RuntimeDefault"}}
        own = {"runAsUser": 8}
        assert pod_spec(workload({"securityContext": context})).containers[0].user == 7
        container = pod_spec(workload({"securityContext": context}, securityContext=own)).containers[0]
        assert (container.user, container.seccomp) == (8, True)


class TestVolumes:
    def test_projected_files_are_the_items_with_the_volumes_mode(self) -> None:
        source = {"secret": {"name": "psk", "items": [{"key": "k", "path": "p"}]}}
        volume = {"name": "keys", "projected": {"defaultMode": 0o400, "sources": [source]}}
        spec = pod_spec(workload({"volumes": [volume]})).volumes["keys"]
        assert spec == Files((Source("Secret", "psk", (("k", "p", None),)),), 0o400)
        assert files(spec, Data({}, {"psk": {"k": "secret", "other": "x"}})) == (File("p", "secret", 0o400),)

    def test_an_empty_dir_in_memory_has_a_size(self) -> None:
        volume = {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "4Mi"}}
        assert pod_spec(workload({"volumes": [volume]})).volumes["run"] == EmptyDir(True, 4 * 2**20)

    def test_a_missing_object_or_key_is_an_error(self) -> None:
        volume = Files((Source("ConfigMap", "config", (("k", "p", None),)),), 0o444)
        with pytest.raises(ManifestError, match="ConfigMap config is not there"):
            files(volume, Data({}, {}))
        with pytest.raises(ManifestError, match="ConfigMap config has no key k"):
            files(volume, Data({"config": {}}, {}))


class TestBundles:
    def test_a_container_has_the_nodes_network_and_namespaces_of_its_own(self) -> None:
        kinds = {entry["type"]: entry.get("path") for entry in config()["linux"]["namespaces"]}
        assert kinds == dict.fromkeys(("pid", "mount", "ipc", "uts", "cgroup")) | {"network": "/run/netns/node"}

    def test_profiles_are_those_of_the_security_context(self) -> None:
        assert "seccomp" not in config()["linux"]
        assert config()["process"]["apparmorProfile"] == "default"
        unconfined = config(securityContext={"appArmorProfile": {"type": "Unconfined"}})
        assert "apparmorProfile" not in unconfined["process"]

    def test_capabilities_are_never_inheritable(self) -> None:
        assert set(config()["process"]["capabilities"]) == {"bounding", "effective", "permitted"}

    def test_fields_of_the_pod_become_variables(self) -> None:
        variables = [Variable("NODE", "", "spec.nodeName"), Variable("BOTH", "$(NODE)/$(NONE)/$$(NODE)", None)]
        found = environment(variables, PLACE)
        assert (found["NODE"], found["BOTH"]) == ("node.example", "node.example/$(NONE)/$(NODE)")

    def test_only_names_are_references(self) -> None:
        assert expand("$((n+1)) $(A)", {"A": "1"}) == "$((n+1)) 1"

    def test_limits_are_those_of_kubelet(self) -> None:
        limits = resources(read(resources={"requests": {"cpu": "100m"}, "limits": {"memory": "256Mi"}}))
        assert limits["memory"] == {"limit": 256 * 2**20}
        assert limits["cpu"] == {"shares": 102}

    def test_a_user_has_the_groups_of_the_image_and_the_pod(self) -> None:
        pod = pod_spec(workload({"securityContext": {"supplementalGroups": [10002]}}, securityContext={"runAsUser": 7}))
        passwd, group = "root:x:0:0::/:/bin/sh\nfrr:x:7:8::/:/bin/sh\n", "frr:x:8:\nvty:x:9:frr,other\n"
        assert user(pod, pod.containers[0], passwd, group) == User(7, 8, (8, 9, 10002))


class TestSeccomp:
    def refused(self, *capabilities: str) -> set[str]:
        rules = runtime_default(capabilities)["syscalls"]
        return {name for rule in rules if "args" not in rule for name in rule["names"]}

    def test_namespaces_and_mounts_are_for_the_administrator(self) -> None:
        assert {"mount", "setns", "unshare", "bpf", "clone3"} <= self.refused("CAP_NET_ADMIN")
        assert not {"mount", "setns", "unshare", "bpf", "clone3"} & self.refused("CAP_SYS_ADMIN")

    def test_some_calls_no_capability_allows(self) -> None:
        assert {"keyctl", "kexec_load", "userfaultfd", "io_uring_setup"} <= self.refused(
            "CAP_SYS_ADMIN", "CAP_SYS_BOOT"
        )


@pytest.mark.parametrize(("text", "value"), [("64Mi", 2**26), ("100m", 0.1), (2, 2), ("1.5Gi", 1.5 * 2**30)])
def test_quantities(text: str | int, value: float) -> None:
    assert quantity(text) == pytest.approx(value)


def test_a_quantity_that_is_none_is_refused() -> None:
    with pytest.raises(ManifestError, match="found '64 MB'"):
        quantity("64 MB")
