"""Rendered manifests are checked offline, against the oldest and the newest supported Kubernetes at once."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tunnelfleet.manifests.schemas import (
    KUBERNETES_MINORS,
    SchemaProblem,
    manifest_schemas,
    path_text,
    schema_paths,
)

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = {path.stem: path for path in sorted((Path(__file__).parent / "manifests").glob("*.yaml"))}
OLDEST, NEWEST = KUBERNETES_MINORS
Place = tuple[str | int, ...]


def example(name: str) -> dict[str, Any]:
    """A manifest of the kind that the file is named for, in which nothing is wrong."""
    manifest: dict[str, Any] = yaml.safe_load(EXAMPLES[name].read_text())
    return manifest


def put(manifest: dict[str, Any], place: str, value: object) -> dict[str, Any]:
    """The manifest with a value set at a place such as `spec/containers/0/name`."""
    changed = copy.deepcopy(manifest)
    *parents, last = (int(step) if step.isdigit() else step for step in place.split("/"))
    holder: Any = changed
    for step in parents:
        holder = holder[step]
    holder[last] = value
    return changed


def without(manifest: dict[str, Any], place: str) -> dict[str, Any]:
    """The manifest without the field at a place."""
    changed = copy.deepcopy(manifest)
    *parents, last = (int(step) if step.isdigit() else step for step in place.split("/"))
    holder: Any = changed
    for step in parents:
        holder = holder[step]
    del holder[last]
    return changed


def problems(manifest: dict[str, Any]) -> list[SchemaProblem]:
    return manifest_schemas(ROOT).validate(manifest)


def said(manifest: dict[str, Any]) -> list[str]:
    return [str(problem) for problem in problems(manifest)]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_sound_manifest_has_no_problems(name: str) -> None:
    assert said(example(name)) == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_names_its_schema_for_editors(name: str) -> None:
    first = EXAMPLES[name].read_text().splitlines()[0]
    schema = EXAMPLES[name].parent / first.removeprefix("# yaml-language-server: $schema=")
    manifest = example(name)
    wanted = schema_paths(manifest["apiVersion"], manifest["kind"])[-1]

    assert schema.resolve() == ROOT / "schemas" / wanted


def test_every_schema_has_an_example() -> None:
    have = {(example(name)["apiVersion"], example(name)["kind"]) for name in EXAMPLES}

    assert have == set(known_kinds())


def known_kinds() -> Iterator[tuple[str, str]]:
    for folder in ("kubernetes", "crds", "kustomize"):
        for path in (ROOT / "schemas" / folder).rglob("*.json"):
            properties = json.loads(path.read_text())["properties"]
            yield properties["apiVersion"]["enum"][0], properties["kind"]["enum"][0]


POD = "spec/template/spec"
FLUX = "kustomize.toolkit.fluxcd.io_kustomization-v1"
CILIUM = "cilium.io_ciliumnetworkpolicy-v2"
BROKEN = [
    ("namespace-v1", "metadata/name", "Ipsec", 'metadata.name: found "Ipsec", expected lower-case letters,'),
    ("configmap-v1", "data/mtu", 1398, 'data.mtu: expected a string, found the number 1398; put it in quotes: "1398"'),
    ("configmap-v1", "binaryData/blob", "???", 'binaryData.blob: found "???", expected base64'),
    ("secret-v1", "stringdata", {}, "stringdata: unknown field; did you mean stringData?"),
    ("serviceaccount-v1", "automountServiceAccountToken", "no", 'found "no"; write false without quotes'),
    ("service-v1", "spec/ports/0/port", 0, "spec.ports[0].port: expected at least 1, found the number 0"),
    ("service-v1", "metadata/name", "1st", "expected lower-case letters, digits and hyphens, a letter first"),
    ("deployment-apps-v1", f"{POD}/containers/0/imagePullPolcy", "Always",
     "spec.template.spec.containers[0].imagePullPolcy: unknown field; did you mean imagePullPolicy?"),
    ("deployment-apps-v1", f"{POD}/containers/0/imagePullPolicy", "always",
     'expected Always, IfNotPresent or Never, found "always"; did you mean Always?'),
    ("deployment-apps-v1", f"{POD}/containers/0/resources/limits/memory", "256 MB", "expected a quantity such as"),
    ("deployment-apps-v1", f"{POD}/containers/0/command", "start",
     'expected a list, found "start"; write it as a list, each item after a hyphen'),
    ("deployment-apps-v1", f"{POD}/containers/0/env/1/name", "GATEWAY",
     "spec.template.spec.containers[0].env[1]: a second item with name GATEWAY, after number 1"),
    ("deployment-apps-v1", f"{POD}/containers", [], "spec.template.spec.containers: must not be empty"),
    ("deployment-apps-v1", f"{POD}/volumes/0/secret/defaultMode", 640, "file modes are octal: write 0640"),
    ("deployment-apps-v1", f"{POD}/containers/0/args", [None], "args[0]: expected a string, found nothing (null)"),
    ("deployment-apps-v1", "spec/replicas", 2**40, "spec.replicas: expected at most 2147483647"),
    ("deployment-apps-v1", "spec/template/metadata/labels/two words", "x",
     'spec.template.metadata.labels["two words"]: found "two words", expected a label key'),
    ("daemonset-apps-v1", "spec/strategy", {}, "spec.strategy: unknown field"),
    ("poddisruptionbudget-policy-v1", "spec/maxUnavailable", 0.5,
     "spec.maxUnavailable: expected a whole number or a string, found the number 0.5"),
    ("priorityclass-scheduling-v1", "value", "high", 'value: expected a whole number, found "high"'),
    ("networkpolicy-networking-v1", "spec/policyTypes/0", "ingress", "did you mean Ingress?"),
    ("role-rbac-v1", "metadata/name", "a/b", "expected a name without / and %"),
    ("rolebinding-rbac-v1", "roleRef/kind", "role", "did you mean Role?"),
    ("clusterrole-rbac-v1", "rules/0/verbs", [], "rules[0].verbs: must not be empty"),
    ("clusterrolebinding-rbac-v1", "subjects/0/kind", "Serviceaccount", "did you mean ServiceAccount?"),
    (FLUX, "spec/interval", "10 min", 'spec.interval: found "10 min", expected a duration such as 10m or 1h30m'),
    (FLUX, "spec/sourceRef/kind", "Git", "spec.sourceRef.kind: expected OCIRepository, GitRepository, Bucket or Ext"),
    (FLUX, "spec/wait", None, "spec.wait: expected true or false, found nothing (null)"),
    ("source.toolkit.fluxcd.io_gitrepository-v1", "spec/url", "git@git.example:x", "spec.url: found"),
    ("source.toolkit.fluxcd.io_ocirepository-v1", "spec/reff", {}, "spec.reff: unknown field; did you mean ref?"),
    ("cilium.io_ciliumnodeconfig-v2", "spec/defaults/mtu", 1450, "spec.defaults.mtu: expected a string"),
    ("cilium.io_ciliumnodeconfig-v2alpha1", "spec/default", {}, "spec.default: unknown field; did you mean defaults?"),
    (CILIUM, "spec/ingress/0/fromEntities/0", "wrld", "did you mean world?"),
    (CILIUM, "spec/ingress/1/fromCIDRSet/0", {}, "spec.ingress[1].fromCIDRSet[0]: missing one of cidr, cidrGroupRef"),
    (CILIUM, "spec/ingress/1/fromCIDRSet/0/cidrGroupRef", "x", "give only one of cidr, cidrGroupRef"),
    (CILIUM, "spec/ingress/1/fromCIDRSet/0/cidr", "10.0.0.0",
     'expected an address range such as 10.0.0.0/8, found "10.0.0.0"'),
    ("cilium.io_ciliumclusterwidenetworkpolicy-v2", "spec/endpointSelector", {}, "spec: give only one of endpointSel"),
    ("cilium.io_ciliumcidrgroup-v2", "spec/externalCIDRs", "10.0.0.0/8", "spec.externalCIDRs: expected a list"),
    ("cilium.io_ciliumcidrgroup-v2alpha1", "spec/externalCIDR", [], "did you mean externalCIDRs?"),
    ("external-secrets.io_externalsecret-v1", "spec/target/creationPolicy", "owner", "did you mean Owner?"),
    ("external-secrets.io_externalsecret-v1beta1", "spec/secretStore", {}, "did you mean secretStoreRef?"),
    ("monitoring.coreos.com_podmonitor-v1", "spec/podMetricsEndpoints/0/interval", "15 s", 'interval: found "15 s"'),
    ("monitoring.coreos.com_prometheusrule-v1", "spec/groups/0/rules/0/alerts", "x", "did you mean alert?"),
    ("kustomization-v1beta1", "configMapGenerator/0/behaviour", "merge", "did you mean behavior?"),
    ("component-v1alpha1", "patches/0/target", {"label": "x"},
     "patches[0].target.label: unknown field; known here: annotationSelector, group,"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "place", "value", "words"), BROKEN, ids=[f"{n}:{p}" for n, p, _, _ in BROKEN])
def test_a_broken_manifest_is_refused_in_plain_words(name: str, place: str, value: object, words: str) -> None:
    (only,) = said(put(example(name), place, value))

    assert words in only


def test_every_kind_is_broken_once() -> None:
    assert {name for name, _, _, _ in BROKEN} == EXAMPLES.keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_kind_needs_a_name_and_refuses_unknown_fields(name: str) -> None:
    manifest = put(example(name), "unheardOf", 1)
    found = {problem.path for problem in problems(manifest)}

    assert ("unheardOf",) in found
    if manifest["apiVersion"].startswith("kustomize.config"):
        return
    assert "metadata.name: missing; expected a string" in said(put(manifest, "metadata", {}))


def test_all_problems_are_listed_in_the_order_of_their_places() -> None:
    manifest = example("deployment-apps-v1")
    manifest = put(manifest, f"{POD}/containers/0/ports/0/containerPort", 70000)
    manifest = without(manifest, f"{POD}/containers/0/name")
    manifest = without(manifest, "spec/selector")
    manifest = put(manifest, "spec/replica", 1)

    assert [path_text(problem.path) for problem in problems(manifest)] == [
        "spec.replica",
        "spec.selector",
        "spec.template.spec.containers[0].name",
        "spec.template.spec.containers[0].ports[0].containerPort",
    ]


class TestTwoReleases:
    def test_a_field_that_only_the_newest_knows_is_refused_for_the_oldest(self) -> None:
        manifest = put(example("deployment-apps-v1"), f"{POD}/containers/0/lifecycle", {"stopSignal": "SIGTERM"})

        (problem,) = problems(manifest)

        assert problem.kubernetes == OLDEST
        assert problem.path[-2:] == ("lifecycle", "stopSignal")
        assert problem.message.endswith(f"lifecycle.stopSignal: unknown field in Kubernetes {OLDEST}")
        assert problem.hint.startswith(f"Kubernetes {NEWEST} takes it, but clusters with {OLDEST}")

    def test_a_value_that_only_the_newest_knows_is_refused_for_the_oldest(self) -> None:
        manifest = put(example("deployment-apps-v1"), f"{POD}/tolerations/0", {"operator": "Gt", "key": "x"})

        (problem,) = problems(manifest)

        assert (problem.kubernetes, problem.path[-1]) == (OLDEST, "operator")

    def test_no_release_is_said_to_take_what_both_refuse_for_different_reasons(self) -> None:
        manifest = put(example("deployment-apps-v1"), f"{POD}/containers/0/lifecycle", {"stopSignal": "TERM"})

        found = problems(manifest)

        assert [problem.kubernetes for problem in found] == [NEWEST, OLDEST]
        assert not any("takes it" in problem.hint for problem in found)

    def test_what_both_refuse_is_said_once(self) -> None:
        (problem,) = problems(put(example("deployment-apps-v1"), f"{POD}/tolerations/0/operator", "Always"))

        assert problem.kubernetes == ""


def test_what_breaks_two_rules_of_one_schema_is_said_once() -> None:
    both: dict[str, Any] = {"endpointSelector": {}, "nodeSelector": {}, "ingress": [{"fromCIDRSet": [{}, {}]}]}

    for text in said({**example(CILIUM), "spec": both}):
        assert "in Kubernetes" not in text


class TestNulls:
    def test_kubernetes_takes_a_null_field_as_one_that_is_not_set(self) -> None:
        manifest = put(example("deployment-apps-v1"), "metadata/creationTimestamp", None)

        assert said(put(manifest, f"{POD}/containers/0/env", None)) == []

    def test_a_required_field_that_is_null_is_missing(self) -> None:
        assert said(put(example("deployment-apps-v1"), "spec/selector", None)) == [
            "spec.selector: missing; expected a mapping"
        ]

    def test_the_metadata_of_a_custom_resource_may_hold_nulls(self) -> None:
        assert said(put(example(FLUX), "metadata/creationTimestamp", None)) == []


class TestSecrets:
    @pytest.mark.parametrize("value", ["hunter2!", 31337, True, ["hunter2!"], {"hunter2!": "hunter2!"}])
    def test_no_value_of_a_secret_is_ever_shown(self, value: object) -> None:
        secret = put(example("secret-v1"), "data/psk", value)
        secret = put(secret, "stringDatum", {"psk": value})
        secret = put(secret, "immutable", value if value is not True else "hunter2!")

        text = "\n".join(said(secret))

        assert "data.psk" in text
        assert "immutable" in text
        assert "hunter2" not in text
        assert "31337" not in text

    def test_what_sops_encrypted_is_checked_as_it_will_be_decrypted(self) -> None:
        secret = put(example("secret-v1"), "data/gcp-us-central1-a", "ENC[AES256_GCM,data:AA==,type:str]")
        secret["sops"] = {"age": [], "mac": "ENC[AES256_GCM]"}

        assert said(secret) == []
        assert said(without(secret, "sops/mac")) == []
        assert said(put(secret, "dat", {})) == ["dat: unknown field; did you mean data?"]

    def test_without_the_block_of_sops_an_encrypted_value_is_just_wrong(self) -> None:
        secret = put(example("secret-v1"), "data/gcp-us-central1-a", "ENC[AES256_GCM,data:AA==,type:str]")

        assert said(secret) == [
            "data.gcp-us-central1-a: found another value, expected base64 (or write the plain value under stringData)"
        ]

    def test_an_encrypted_kind_says_which_rule_sops_lacks(self) -> None:
        (only,) = said({**example("secret-v1"), "kind": "ENC[AES256_GCM,data:x]", "sops": {}})

        assert only == (
            "kind: encrypted, so nothing can read what this is; "
            "let SOPS encrypt the values only: encrypted_regex: ^(data|stringData)$"
        )


class TestUnknownKinds:
    def test_a_kind_without_a_schema_is_a_problem(self) -> None:
        assert said({"apiVersion": "batch/v1", "kind": "Job"}) == [
            "kind: no schema for kind Job of batch/v1; if the kind is right, add it to "
            "scripts/tunnelfleet/manifests/vendor/catalogue.py and run make vendor-schemas"
        ]

    def test_a_known_kind_of_another_version_says_which_is_known(self) -> None:
        assert said({"apiVersion": "extensions/v1beta1", "kind": "Deployment"}) == [
            "kind: no schema for kind Deployment of extensions/v1beta1; Deployment is known in apps/v1"
        ]

    def test_a_kind_in_the_wrong_case_is_corrected(self) -> None:
        (only,) = said(put(example("configmap-v1"), "kind", "Configmap"))

        assert only == 'kind: expected ConfigMap, found "Configmap"; did you mean ConfigMap?'

    @pytest.mark.parametrize("field", ["apiVersion", "kind"])
    @pytest.mark.parametrize("value", [None, 1, "", [], {"a": 1}])
    def test_a_manifest_that_does_not_say_what_it_is(self, field: str, value: object) -> None:
        (problem,) = problems(put(example("configmap-v1"), field, value))

        assert problem.path == (field,)

    @pytest.mark.parametrize("name", ["../../../etc/passwd", "a/b/v1", "apps/v1/../v1", "apps/1", "/v1", "v1\n"])
    def test_no_name_leads_out_of_the_folder_of_schemas(self, name: str) -> None:
        assert schema_paths(name, "Deployment") == ()
        assert schema_paths("apps/v1", name) == ()
        assert len(problems({"apiVersion": name, "kind": "Deployment"})) == 1


def test_what_yaml_reads_as_a_date_or_a_number_reaches_the_schema_as_json() -> None:
    manifest = put(example("configmap-v1"), "metadata/creationTimestamp", datetime(2026, 1, 31, tzinfo=UTC))
    manifest = put(manifest, "data", {8080: "a", True: "b"})

    assert said(manifest) == []
    assert said(put(manifest, "data/when", datetime(2026, 1, 31, tzinfo=UTC))) == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
    max_leaves=12,
)


@given(data=st.data(), value=json_values)
def test_no_value_anywhere_makes_the_check_fail(data: st.DataObject, value: object) -> None:
    manifest = example(data.draw(st.sampled_from(sorted(EXAMPLES))))
    place = data.draw(st.sampled_from(sorted(places(manifest), key=repr)))

    found = problems(put(manifest, "/".join(map(str, place)), value))

    assert found == sorted(set(found), key=found.index)
    assert all(problem.message for problem in found)


@given(data=st.data(), manifest=json_values)
def test_no_manifest_makes_the_check_fail(data: st.DataObject, manifest: object) -> None:
    found = problems({**manifest} if isinstance(manifest, dict) else {"apiVersion": "v1", "kind": manifest})

    assert len(found) == 1


@given(data=st.data())
def test_an_unknown_field_of_any_object_is_found_there_and_nowhere_else(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(EXAMPLES)))
    manifest = example(name)
    place = data.draw(st.sampled_from(sorted(closed_places(manifest), key=repr)))
    changed = put(manifest, "/".join(map(str, (*place, "zzUnheardOf"))), 1)

    assert [(problem.path, problem.kubernetes) for problem in problems(changed)] == [((*place, "zzUnheardOf"), "")]


@given(data=st.data())
def test_the_order_of_fields_changes_nothing(data: st.DataObject) -> None:
    name, place, value, _ = data.draw(st.sampled_from(BROKEN))
    manifest = put(example(name), place, value)
    shuffled = dict(data.draw(st.permutations(list(manifest.items()))))

    assert said(shuffled) == said(manifest)


def places(value: object, path: Place = ()) -> Iterator[Place]:
    """Every place in a manifest but the manifest itself."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in items:
        if "/" not in str(step):
            yield (*path, step)
            yield from places(child, (*path, step))


def closed_places(manifest: dict[str, Any]) -> Iterator[Place]:
    """The objects in a manifest with a fixed set of fields: all but maps with free keys."""
    free = {
        "annotations", "binaryData", "data", "defaults", "labels", "limits", "matchLabels", "options", "pairs",
        "requests", "selector", "stringData",
    }  # fmt: skip
    yield ()
    for place in places(manifest):
        holder: Any = manifest
        for step in place:
            holder = holder[step]
        if isinstance(holder, dict) and not free & set(place):
            yield place
