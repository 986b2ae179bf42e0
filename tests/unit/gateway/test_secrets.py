"""Secrets: read as they are, written where only charon and FRR see them."""

from __future__ import annotations

import base64
import logging
from pathlib import Path

import pytest
from gateway import charon
from gateway.secrets import SecretError, read_secret, swanctl_secrets, write_private
from router.configuration import with_passwords

from tests.unit.gateway.world import FIRST, GATEWAY, SECOND
from tunnelfleet.manifests.swanctl import parse_swanctl

AWKWARD = b'0s # } " \xff\nmiddle'
FRR = "router bgp 65010\n neighbor 169.254.60.1 remote-as 65401\nexit\n"


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"key", b"key"),
        (b"key\n", b"key"),
        (b"key\r\n", b"key"),
        (b"key\n\n", b"key\n"),
        (b" key ", b" key "),
        (AWKWARD, AWKWARD),
    ],
)
def test_one_newline_at_the_end_is_left_out_and_nothing_else(tmp_path: Path, content: bytes, secret: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    assert read_secret(tmp_path / "key") == secret


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n"])
def test_an_empty_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(SecretError, match="empty"):
        read_secret(tmp_path / "key")


def test_any_byte_of_a_key_gets_through_to_charon() -> None:
    section = parse_swanctl(swanctl_secrets([(FIRST, AWKWARD)])).section("secrets").section("ike-gcp-ipsec0")
    assert section.get("id-local") == "203.0.113.11"
    assert section.get("id-peer") == "198.51.100.34"
    assert base64.b64decode(section.get("secret").removeprefix("0s")) == AWKWARD


def test_a_missing_key_costs_its_own_tunnel_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / SECOND.connection).write_bytes(b"second")
    with caplog.at_level(logging.ERROR):
        charon.write_secrets(GATEWAY.tunnels, keys=tmp_path, to=tmp_path / "out/secrets.conf")
    text = (tmp_path / "out/secrets.conf").read_text()
    assert list(parse_swanctl(text).section("secrets").sections) == ["ike-site-ipsec1"]
    assert "gcp-ipsec0 has no pre-shared key" in caplog.text


def test_nothing_that_is_logged_holds_a_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FIRST.connection).write_bytes(b"topsecret")
    with caplog.at_level(logging.DEBUG):
        charon.write_secrets(GATEWAY.tunnels, keys=tmp_path, to=tmp_path / "secrets.conf")
    assert "topsecret" not in caplog.text


def test_only_the_owner_reads_what_is_written(tmp_path: Path) -> None:
    for text in ("one", "two"):
        write_private(tmp_path / "deep/file", text)
    assert (tmp_path / "deep/file").read_text() == "two"
    assert (tmp_path / "deep/file").stat().st_mode & 0o777 == 0o600


def test_a_session_with_a_password_gets_its_line() -> None:
    text = with_passwords(FRR, GATEWAY, {"site": b"pass!word"}.__getitem__)
    assert text == FRR + "router bgp 65010\n neighbor 169.254.60.1 password pass!word\nexit\n"


@pytest.mark.parametrize("password", [b"two words", b"x" * 81, b"line\nbreak", b"\xc3\xa9"])
def test_a_password_that_frr_would_misread_is_refused_without_showing_it(password: bytes) -> None:
    with pytest.raises(SecretError) as refused:
        with_passwords(FRR, GATEWAY, {"site": password}.__getitem__)
    assert "site" in str(refused.value)
    assert repr(password)[2:-1] not in str(refused.value)
