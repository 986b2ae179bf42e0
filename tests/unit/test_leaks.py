"""Secrets in plain text are found by their shape, their key and their object, and nothing else is."""

from __future__ import annotations

import pytest

from tunnelfleet.policies.leaks import leaks

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
