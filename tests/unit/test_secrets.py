"""The Secrets beside an inventory: what they provide, and whether it is kept from whoever reads the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunnelfleet.inventory.model import SecretKey
from tunnelfleet.inventory.secrets import Protection, SecretFolder, read_secrets, target_name

ENCRYPTED = """\
apiVersion: v1
kind: Secret
metadata: {name: ipsec-psk, namespace: ipsec-tunnel}
stringData:
    site-a: ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]
    site-b: ENC[AES256_GCM,data:z,iv:y,tag:z,type:str]
sops:
    age:
        - recipient: age1q
          enc: x
    mac: ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]
"""
EXTERNAL = """\
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: from-the-vault, namespace: ipsec-tunnel}
spec:
  target: {name: ipsec-psk}
  data:
    - secretKey: site-a
      remoteRef: {key: vault-a}
"""
DATA_FROM = "  dataFrom:\n    - extract: {key: vault}\n"
TEMPLATE = "  target:\n    name: ipsec-psk\n    template:\n      data: {site-b: '{{ .site }}'}\n"


def folder(root: Path, **files: str) -> SecretFolder:
    directory = root / "clusters" / "north" / "secrets"
    directory.mkdir(parents=True)
    for name, text in files.items():
        (directory / f"{name}.yaml").write_text(text)
    return read_secrets(root, "north")


def protections(secrets: SecretFolder) -> dict[str, Protection]:
    return {entry.secret.key: entry.protection for entry in secrets.entries}


def test_no_folder_is_a_folder_with_nothing_in_it(tmp_path: Path) -> None:
    assert read_secrets(tmp_path, "north") == SecretFolder((), (), ())


def test_the_entries_of_an_encrypted_secret(tmp_path: Path) -> None:
    secrets = folder(tmp_path, psk=ENCRYPTED)
    assert protections(secrets) == {"site-a": Protection.SOPS, "site-b": Protection.SOPS}
    assert {(entry.secret.secret_name, entry.namespace) for entry in secrets.entries} == {("ipsec-psk", "ipsec-tunnel")}
    entry = secrets.find(SecretKey(secret_name="ipsec-psk", key="site-b"))
    assert entry is not None
    assert (entry.location.file, entry.location.line) == ("clusters/north/secrets/psk.yaml", 6)
    assert secrets.find(SecretKey(secret_name="ipsec-psk", key="site-c")) is None


@pytest.mark.parametrize(
    ("old", "new", "protection"),
    [
        ("ENC[AES256_GCM,data:z,iv:y,tag:z,type:str]", "hunter2hunter2", Protection.NONE),
        ("ENC[AES256_GCM,data:z,iv:y,tag:z,type:str]", "12345678", Protection.NONE),
        ("ENC[AES256_GCM,data:z,iv:y,tag:z,type:str]", '""', Protection.NONE),
        ("    mac: ENC", "    mac_: ENC", Protection.BROKEN),
        ("    age:\n        - recipient: age1q\n          enc: x\n", "    age: []\n", Protection.BROKEN),
        ("\nsops:", "\nsop:", Protection.BROKEN),
    ],
)
def test_what_is_not_kept_is_said_not_to_be(tmp_path: Path, old: str, new: str, protection: Protection) -> None:
    assert old in ENCRYPTED
    assert protections(folder(tmp_path, psk=ENCRYPTED.replace(old, new)))["site-b"] is protection


def test_recipients_of_any_kind_will_do(tmp_path: Path) -> None:
    text = ENCRYPTED.replace("    age:\n        - recipient: age1q\n", "    gcp_kms:\n        - resource_id: x\n")
    assert set(protections(folder(tmp_path, psk=text)).values()) == {Protection.SOPS}


class TestExternalSecret:
    def test_its_entries_are_those_of_its_target(self, tmp_path: Path) -> None:
        secrets = folder(tmp_path, psk=EXTERNAL)
        (entry,) = secrets.entries
        assert entry.secret == SecretKey(secret_name="ipsec-psk", key="site-a")
        assert entry.protection is Protection.EXTERNAL
        assert secrets.open_ended == {}
        assert [target_name(document) for document in secrets.documents] == ["ipsec-psk"]

    def test_without_a_target_it_is_called_as_itself(self, tmp_path: Path) -> None:
        (entry,) = folder(tmp_path, psk=EXTERNAL.replace("  target: {name: ipsec-psk}\n", "")).entries
        assert entry.secret.secret_name == "from-the-vault"

    def test_keys_that_only_the_vault_knows_are_named_with_their_place(self, tmp_path: Path) -> None:
        secrets = folder(tmp_path, psk=EXTERNAL + DATA_FROM)
        assert protections(secrets) == {"site-a": Protection.EXTERNAL}
        assert {name: place.line for name, place in secrets.open_ended.items()} == {"ipsec-psk": 9}

    def test_a_template_replaces_what_the_vault_has(self, tmp_path: Path) -> None:
        text = EXTERNAL.replace("  target: {name: ipsec-psk}\n", TEMPLATE) + DATA_FROM
        secrets = folder(tmp_path, psk=text)
        assert set(protections(secrets)) == {"site-b"}
        assert secrets.open_ended == {}

    def test_a_template_that_merges_adds_to_it(self, tmp_path: Path) -> None:
        merging = TEMPLATE.replace("      data:", "      mergePolicy: Merge\n      data:")
        secrets = folder(tmp_path, psk=EXTERNAL.replace("  target: {name: ipsec-psk}\n", merging) + DATA_FROM)
        assert set(protections(secrets)) == {"site-a", "site-b"}
        assert set(secrets.open_ended) == {"ipsec-psk"}

    def test_a_template_from_elsewhere_says_nothing_of_its_keys(self, tmp_path: Path) -> None:
        template = "  target:\n    name: ipsec-psk\n    template:\n      templateFrom: [{configMap: {name: x}}]\n"
        secrets = folder(tmp_path, psk=EXTERNAL.replace("  target: {name: ipsec-psk}\n", template))
        assert (secrets.entries, set(secrets.open_ended)) == ((), {"ipsec-psk"})


class TestFlux:
    def test_sops_is_needed_but_where_there_are_external_secrets_only(self, tmp_path: Path) -> None:
        assert folder(tmp_path / "sops", psk=ENCRYPTED).decrypts
        assert folder(tmp_path / "both", psk=ENCRYPTED, other=EXTERNAL).decrypts
        assert not folder(tmp_path / "external", psk=EXTERNAL).decrypts
        assert not folder(tmp_path / "open", psk=EXTERNAL.split("  data:", maxsplit=1)[0] + DATA_FROM).decrypts
        assert folder(tmp_path / "none").decrypts

    def test_every_file_is_applied_but_the_list_itself_and_hidden_ones(self, tmp_path: Path) -> None:
        secrets = folder(tmp_path, b=ENCRYPTED, a=EXTERNAL, kustomization="resources: []\n", **{".sops": "x: 1\n"})
        assert secrets.files == ("a.yaml", "b.yaml")


class TestDigest:
    KEYS = tuple(SecretKey(secret_name="ipsec-psk", key=key) for key in ("site-a", "site-b"))

    def test_it_changes_with_the_entries_that_it_is_of_and_with_no_other(self, tmp_path: Path) -> None:
        before = folder(tmp_path / "before", psk=ENCRYPTED)
        after = folder(tmp_path / "after", psk=ENCRYPTED.replace("data:z", "data:w"))
        first, second = self.KEYS
        assert before.digest([first]) == after.digest([first])
        assert before.digest([second]) != after.digest([second])
        assert before.digest(self.KEYS) != after.digest(self.KEYS)

    def test_the_order_means_nothing(self, tmp_path: Path) -> None:
        secrets = folder(tmp_path, psk=ENCRYPTED)
        assert secrets.digest(self.KEYS) == secrets.digest(reversed(self.KEYS))

    def test_it_does_not_change_when_sops_signs_anew(self, tmp_path: Path) -> None:
        mac = "    mac: ENC[AES256_GCM,data:x"
        one = folder(tmp_path / "one", psk=ENCRYPTED)
        other = folder(tmp_path / "other", psk=ENCRYPTED.replace(mac, mac[:-1] + "y"))
        assert one.digest(self.KEYS) == other.digest(self.KEYS)

    def test_a_missing_entry_counts_too(self, tmp_path: Path) -> None:
        with_both = folder(tmp_path / "both", psk=ENCRYPTED)
        with_none = folder(tmp_path / "none")
        assert with_both.digest(self.KEYS) != with_none.digest(self.KEYS)

    def test_it_tells_nothing_of_what_it_is_of(self, tmp_path: Path) -> None:
        secrets = folder(tmp_path, psk=ENCRYPTED.replace("ENC[AES256_GCM,data:z,iv:y,tag:z,type:str]", "hunter2"))
        assert "hunter2" not in secrets.digest(self.KEYS)
        assert all("hunter2" not in entry.fingerprint for entry in secrets.entries)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "x",
        "kind: Secret",
        "kind: Secret\nmetadata: []\ndata: x",
        "kind: Secret\nmetadata: {name: 1}\ndata: {a: b}",
        "kind: Secret\nmetadata: {name: ''}\ndata: {a: b}",
        "kind: ExternalSecret",
        "kind: ExternalSecret\nspec: []",
        "kind: ExternalSecret\nspec: {data: x, target: [], dataFrom: 1}",
        "kind: ExternalSecret\nmetadata: {name: a}\nspec: {data: [x, {secretKey: 1}], target: {template: {data: []}}}",
        "kind: ConfigMap\nmetadata: {name: a}",
    ],
)
def test_what_is_no_secret_provides_nothing(tmp_path: Path, text: str) -> None:
    assert folder(tmp_path, other=text).entries == ()


def test_a_file_that_cannot_be_read_is_a_finding_and_the_others_are_read(tmp_path: Path) -> None:
    secrets = folder(tmp_path, bad="a: [", psk=ENCRYPTED)
    assert [finding.location.file for finding in secrets.findings] == ["clusters/north/secrets/bad.yaml"]
    assert len(secrets.entries) == 2
