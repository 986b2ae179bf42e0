"""Secrets in plain text are found by their shape, their key and their object, and nothing else is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fleets import REPOSITORY
from tunnelfleet.policies.leaks import leaks
from tunnelfleet.policies.registry import Scope, run_located
from tunnelfleet.policies.tree import Tree

# In two parts, so that this file holds none itself.
KEY = "8mD0vXq1TzR4" + "nWcY7bKj2LsP"

ENCRYPTED = """kind: Secret
metadata: {name: ipsec-psk}
stringData:
    a: ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]
sops:
    mac: ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]
"""


def found(path: str, text: str) -> list[tuple[str, int, int]]:
    return [(leak.what, leak.line, leak.column) for leak in leaks(path, text.encode())]


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("notes.md", "x\nAGE-SECRET-" + "KEY-1" + "Q" * 58, ("an age private key", 2, 1)),
        ("id_rsa", "-----BEGIN OPENSSH " + "PRIVATE KEY-----", ("a private key", 1, 1)),
        ("values.yaml", "tunnels:\n- psk: " + "hunter2hunter2", ("`psk`", 2, 3)),
        ("x.yaml", "  presharedKey: " + '"hunter2hunter2"', ("`presharedKey`", 1, 3)),
        ("swanctl.conf", "ike {\n  secret" + " = hunter2hunter2", ("a secret of swanctl.conf", 2, 3)),
        ("frr.conf", " neighbor 192.0.2.1 pass" + "word hunter2", ("a password of frr.conf", 1, 2)),
        ("s.yaml", "kind: Sec" + "ret\nstringData:\n  a: hunter2", ("`a` of a Secret", 3, 6)),
        (
            "list.yaml",
            "kind: List\nitems:\n- kind: Sec" + "ret\n  data: {a: aHVudGVyMg==}",
            ("`a` of a Secret", 4, 13),
        ),
        ("s.json", '{"kind": "Sec' + 'ret", "data": {"a": "eA=="}}', ("`a` of a Secret", 1, 34)),
        (
            "kustomization.yaml",
            "secretGenerator" + ":\n- name: x\n  literals: [a=b]",
            ("a literal of a secretGenerator", 3, 13),
        ),
        (
            "half.yaml",
            ENCRYPTED.replace("sops:", "    b: hunter2\nsops:"),
            ("`b` of a Secret", 5, 8),
        ),
    ],
)
def test_a_secret_in_plain_text_is_found_at_its_place(path: str, text: str, expected: tuple[str, int, int]) -> None:
    assert found(path, text) == [expected]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("secret.yaml", ENCRYPTED),
        ("cluster.yaml", "presharedKey: {secretName: ipsec-psk, key: site-a}"),
        ("cluster.yaml", "presharedKey:\n  secretName: ipsec-psk"),
        ("frr.conf", "! password is merged at start"),
        ("code.py", "password = read()"),
        ("binary.bin", "\0secret = x"),
        ("s.yaml", "kind: Secret\ndata: {}"),
        ("values.yaml", "psk: hunter2hunter2 # not-a-secret: sample of a test"),
        ("broken.yaml", "kind: Secret\n\t- ["),
    ],
)
def test_what_is_no_secret_is_passed_over(path: str, text: str) -> None:
    assert found(path, text) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("values.yaml", f"adminPassword: {KEY}"),
        ("values.yaml", f"grafana:\n  - db_passwd: '{KEY}'"),
        ("values.yaml", f"user: {{name: a, password: {KEY}}}"),
        ("values.yaml", "password: correct horse battery staple # of the vault"),
        ("values.yaml", f"ike-psk: >-\n    {KEY}"),
        ("values.yaml", f"# psk: {KEY}"),
        ("values.json", f'{{"a": 1, "preSharedKey": "{KEY}"}}'),
        ("config.json", f'{{"env": [{{"name": "API_TOKEN", "value": "{KEY}"}}]}}'),
        ("deploy.yaml", f"env:\n- name: VPN_PSK\n  value: {KEY}"),
        ("prod.env", f"DB_PASSWORD={KEY}"),
        (".env", f"export CLIENT_SECRET='{KEY}'"),
        ("run.sh", f"password={KEY}"),
        ("settings.toml", f'api_key = "{KEY}"'),
        ("main.tf", f'  shared_secret = "{KEY}"'),
        ("state.tfstate", f'  "shared_secret": "{KEY}",'),
        ("ipsec.secrets", f'203.0.113.1 198.51.100.1 : PSK "{KEY}"'),
        ("bgpd.conf", f"enable password {KEY}"),
        ("keys.conf", f"key chain x\n  key-string {KEY}"),
        ("wg0.conf", "PrivateKey = " + "a" * 43 + "="),
        ("notes.md", "ghp_" + "a" * 36),
        ("notes.md", "glpat-" + "a" * 20),
        ("notes.md", "AKIA" + "A" * 16),
        ("notes.md", "AIza" + "a" * 35),
        ("token.txt", "ey" + "JhbGciOiJSUzI1NiJ9.ey" + "JzdWIiOiIxMjM0NTYifQ.c2lnbmF0dXJl"),
        ("values.enc.yaml", f"db:\n  host: ENC[AES256_GCM,data:x]\n  token: {KEY}\nsops:\n  mac: ENC[x]\n"),
        ("two.yaml", f"kind: Secret\nstringData: {{a: {KEY}}}\n---\na: ["),
        ("anchors.yaml", f"x: &x {{kind: Secret, data: {{a: {KEY}}}}}\ny: *x\n"),
    ],
)
def test_trees_of_others_hold_secrets_like_these(path: str, text: str) -> None:
    assert len(found(path, text)) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        # names of secrets, and where they are kept
        ("values.yaml", "existingSecret: grafana-admin\npasswordKey: admin-password"),
        ("deploy.yaml", "env:\n- name: DB_PASSWORD\n  valueFrom: {secretKeyRef: {name: db, key: password}}"),
        ("external.yaml", "data:\n- secretKey: password\n  remoteRef: {key: db, property: password}"),
        ("issuer.yaml", "privateKeySecretRef:\n  name: letsencrypt\ntokenSecretRef: {name: x, key: api-token}"),
        ("flux.yaml", "secretRef: {name: flux-system}\nwebhookTokenSecret: x"),
        ("store.yaml", "kind: SecretStore\nspec: {provider: {vault: {path: secret}}}"),
        # put in later
        ("values.yaml", "password: ${DB_PASSWORD}\npsk: {{ .Values.psk }}\ntoken: <your token>"),
        ("values.yaml", "password: !vault |\n  $ANSIBLE_VAULT;1.1"),
        ("values.yaml", "dbPassword: *password\nadminPassword: &password null"),
        ("secret.yaml", "kind: Secret\nstringData: {a: '${PSK}', b: '{{ .psk }}', c: '<path:vault#psk>', d: ''}"),
        ("sealed.yaml", "kind: SealedSecret\nspec: {encryptedData: {psk: Ag" + "By8h" * 80 + "}}"),
        ("main.tf", 'shared_secret = var.shared_secret\npassword = random_password.x.result\nx = "a"'),
        ("run.sh", 'password=$(cat /run/password)\nPSK="$1"\ntoken=`cat x`'),
        (".env", "DB_PASSWORD=\nAPI_KEY=changeme".replace("changeme", "")),
        ("swanctl.conf", "secret = {{ key }}\nsecrets {\n}\ninclude secrets.conf"),
        ("frr.conf.j2", "neighbor {{ peer }} password {{ password }}"),
        # switches, kinds, prose
        ("values.yaml", "usePassword: true\nallowEmptyPassword: false\npassword: ''\npsk: []\napiKey: ~"),
        ("schema.yaml", "properties:\n  password:\n    type: string\n    description: The password, as text."),
        ("schema.json", '{"properties":{"password":{"type":"string"},"psk":{"$ref":"#/x"}}}'),
        ("values.yaml", "# password: what the site asks for\n# The psk: at least 20 characters."),
        ("values.yaml", "password: REDACTED\npsk: xxxxxxxxxxxx\ntoken: your-token-here"),
        ("policy.yaml", "password_policy: strict-rules\npasswordMinLength: 12"),
        ("README.md", "Put `psk: hunter2hunter2` into the Secret, then `password: hunter2`."),
        ("code.py", 'PASSWORD = "hunter2hunter2"'),
        # encrypted in part, on purpose
        ("part.yaml", "kind: HelmRelease\nspec: {values: {a: b}}\nsops: {encrypted_regex: ^password$}"),
        ("part.yaml", "db: {host: example.com}\nsops: {encrypted_regex: ^password$}"),
        (".sops.yaml", "creation_rules:\n- path_regex: x\n  encrypted_regex: ^(data|stringData)$\n  age: age1q"),
    ],
)
def test_trees_of_others_hold_no_secrets_like_these(path: str, text: str) -> None:
    assert found(path, text) == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_text_of_an_editor_on_windows_is_text(encoding: str) -> None:
    content = f"a: b\r\npsk: {KEY}\r\n".encode(encoding)
    assert [(leak.line, leak.column) for leak in leaks("values.yaml", content)] == [(2, 1)]


def test_columns_count_characters() -> None:
    assert found("values.yaml", f"{{ä: ö, psk: {KEY}}}") == [("`psk`", 1, 8)]


@given(
    st.sampled_from(["a.yaml", "a.json", "a.conf", "a.tf", "a.env", "a"]),
    st.binary(max_size=200) | st.text().map(str.encode),
)
def test_any_bytes_can_be_looked_at(path: str, content: bytes) -> None:
    lines = content.count(b"\n") + 1
    assert all(1 <= leak.line <= lines and leak.column >= 1 for leak in leaks(path, content))


@given(st.text(st.sampled_from("-# \t{,\"'=:|.psk"), max_size=300))
def test_no_line_takes_for_ever(text: str) -> None:
    leaks("a.yaml", (text * 200).encode())


class TestTree:
    SECRET = f"psk: {KEY}\n"

    def places(self, root: Path, *folders: str, chosen: tuple[str, ...] = ()) -> set[str]:
        found = run_located(Scope.TREE, Tree(root, folders, frozenset(chosen)))
        return {finding.location.file for finding in found if finding.policy == "no-plaintext-secrets"}

    def write(self, root: Path, *paths: str) -> None:
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(self.SECRET)

    def git(self, root: Path, *arguments: str) -> None:
        subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True)

    def test_in_a_checkout_what_git_ignores_is_left_alone(self, tmp_path: Path) -> None:
        self.git(tmp_path, "init", "-q")
        self.write(tmp_path, "tracked.yaml", "new.yaml", "ignored.yaml")
        (tmp_path / ".gitignore").write_text("ignored.yaml\n")
        self.git(tmp_path, "add", "tracked.yaml")
        assert self.places(tmp_path) == {"tracked.yaml", "new.yaml"}

    def test_without_git_what_is_hidden_is_left_alone_but_for_ci(self, tmp_path: Path) -> None:
        self.write(tmp_path, "a/b.yaml", ".venv/x.yaml", "node_modules/x.yaml", ".github/workflows/ci.yaml")
        assert self.places(tmp_path) == {"a/b.yaml", ".github/workflows/ci.yaml"}

    def test_a_copy_in_an_ignored_folder_of_a_checkout_is_looked_at(self, tmp_path: Path) -> None:
        self.git(tmp_path, "init", "-q")
        (tmp_path / ".gitignore").write_text("copy/\n")
        self.write(tmp_path, "copy/values.yaml")
        assert self.places(tmp_path / "copy") == {"values.yaml"}

    def test_links_and_odd_files_are_passed_over(self, tmp_path: Path) -> None:
        self.write(tmp_path, "real.yaml")
        (tmp_path / "link.yaml").symlink_to("real.yaml")
        (tmp_path / "lost.yaml").symlink_to("nowhere")
        os.mkfifo(tmp_path / "pipe.yaml")
        assert self.places(tmp_path) == {"real.yaml"}

    def test_a_name_of_any_bytes_can_be_shown(self, tmp_path: Path) -> None:
        (tmp_path / os.fsdecode(b"a\xff\n.yaml")).write_text(self.SECRET)
        (place,) = self.places(tmp_path)
        assert place.isprintable()
        place.encode()

    def test_clusters_that_did_not_change_are_left_alone(self, tmp_path: Path) -> None:
        self.write(tmp_path, "clusters/north/x.yaml", "clusters/south/x.yaml", "clusters/gone/x.yaml", "x.yaml")
        found = self.places(tmp_path, "north", "south", chosen=("north",))
        assert found == {"clusters/north/x.yaml", "clusters/gone/x.yaml", "x.yaml"}

    def test_names_in_generated_files_are_names_but_keys_are_keys(self, tmp_path: Path) -> None:
        header = "# Generated by tunnelfleet from clusters/north/cluster.yaml: do not edit.\n"
        self.write(tmp_path, "overlays/north/a.yaml", "overlays/north/b.yaml", "overlays/north/c.yaml")
        (tmp_path / "overlays/north/b.yaml").write_text(header + self.SECRET)
        (tmp_path / "overlays/north/c.yaml").write_text(header + "AGE-SECRET-" + "KEY-1" + "Q" * 58)
        assert self.places(tmp_path) == {"overlays/north/a.yaml", "overlays/north/c.yaml"}

    def test_this_repository_holds_none(self) -> None:
        assert self.places(REPOSITORY) == set()
