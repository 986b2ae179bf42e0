"""Which kustomize is used, what a build gives, and what a person is told when there is none."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tunnelfleet.manifests import kustomize_release
from tunnelfleet.manifests.kustomize import (
    Kustomize,
    KustomizeFailed,
    KustomizeNotFound,
    find_kustomize,
    installed_release,
)

KUBECTL = '{"clientVersion": {"gitVersion": "%s"}, "kustomizeVersion": "%s"}'

Program = Callable[[str, str], Path]


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine that has no program at all yet, in a folder with a space."""
    return {"PATH": str(tmp_path / "a bin"), "HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": ""}


@pytest.fixture
def program(machine: Mapping[str, str]) -> Program:
    """Puts a program on the machine's PATH that prints what it is told to, whatever it is asked."""

    def put(name: str, says: str) -> Path:
        path = Path(machine["PATH"], name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\nprintf '%s\\n' '{says}'\n")
        path.chmod(0o755)
        return path

    return put


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ("v5.0.0", "v5.0.0"),
        ("v5.8.1", "v5.8.1"),
        ("{Version:kustomize/v5.1.0 GitCommit:abc BuildDate:2023-06-15T00:00:00Z}", "v5.1.0"),
        ("v10.0.0-rc.1+local", "v10.0.0"),
        ("(devel)", "(devel)"),
    ],
)
def test_kustomize_5_or_later_on_the_path_is_used(
    machine: dict[str, str], program: Program, says: str, version: str
) -> None:
    path = program("kustomize", says)
    program("kubectl", KUBECTL % ("v1.33.0", "v5.6.0"))

    assert find_kustomize(machine) == Kustomize((str(path), "build"), version)


@pytest.mark.parametrize(
    ("client", "kustomize", "version"),
    [
        ("v1.27.0", "v5.0.1", "v5.0.1"),
        ("v1.32.4-dispatcher", "v5.5.0", "v5.5.0"),
        ("v1.30.2+k3s1", "", "unknown"),
    ],
)
def test_kubectl_is_used_where_there_is_no_kustomize(
    machine: dict[str, str], program: Program, client: str, kustomize: str, version: str
) -> None:
    path = program("kubectl", KUBECTL % (client, kustomize))

    assert find_kustomize(machine) == Kustomize((str(path), "kustomize"), version)


def test_an_old_kustomize_does_not_hide_a_good_kubectl(machine: dict[str, str], program: Program) -> None:
    program("kustomize", "{Version:kustomize/v4.5.7 GitCommit:56d82a8 BuildDate:2022-08-02T16:35:54Z}")
    kubectl = program("kubectl", KUBECTL % ("v1.33.0", "v5.6.0"))

    assert find_kustomize(machine).command == (str(kubectl), "kustomize")


def test_the_installed_release_comes_before_kubectl(machine: dict[str, str], program: Program) -> None:
    program("kubectl", KUBECTL % ("v1.33.0", "v5.6.0"))
    installed = installed_release(machine)
    installed.parent.mkdir(parents=True)
    program("kustomize", "v5.8.1").rename(installed)

    assert find_kustomize(machine).command == (str(installed), "build")


def test_the_variable_comes_before_the_path(machine: dict[str, str], program: Program) -> None:
    program("kustomize", "v5.8.1")
    mine = program("my-kustomize", "v5.2.1")

    assert find_kustomize({**machine, "KUSTOMIZE": str(mine)}) == Kustomize((str(mine), "build"), "v5.2.1")
    assert find_kustomize({**machine, "KUSTOMIZE": "my-kustomize"}).command == (str(mine), "build")


def test_the_variable_may_name_kubectl(machine: dict[str, str], program: Program) -> None:
    kubectl = program("kubectl-1.33", KUBECTL % ("v1.33.0", "v5.6.0"))

    assert find_kustomize({**machine, "KUSTOMIZE": str(kubectl)}).command == (str(kubectl), "kustomize")


def test_nothing_else_is_tried_when_the_variable_is_wrong(machine: dict[str, str], program: Program) -> None:
    program("kustomize", "v5.8.1")
    old = program("old-kustomize", "v3.8.1")

    with pytest.raises(KustomizeNotFound, match=r"\$KUSTOMIZE is '/nowhere/kustomize', which is not a program"):
        find_kustomize({**machine, "KUSTOMIZE": "/nowhere/kustomize"})
    with pytest.raises(KustomizeNotFound, match=r"old-kustomize is kustomize v3\.8\.1; v5\.0\.0 or later is needed"):
        find_kustomize({**machine, "KUSTOMIZE": str(old)})


def test_every_unusable_program_is_named(machine: dict[str, str], program: Program) -> None:
    program("kustomize", "segmentation fault")
    program("kubectl", KUBECTL % ("v1.26.9", "v4.5.7"))

    with pytest.raises(KustomizeNotFound) as caught:
        find_kustomize(machine)

    assert "kustomize does not tell its version: `version` said 'segmentation fault'" in str(caught.value)
    assert "kubectl is kubectl v1.26.9; v1.27.0 or later is needed" in str(caught.value)


@pytest.mark.parametrize("says", ["", "[]", "null", '{"clientVersion": 3}', "error: unknown flag"])
def test_a_kubectl_that_talks_nonsense_is_refused(machine: dict[str, str], program: Program, says: str) -> None:
    program("kubectl", says)

    with pytest.raises(KustomizeNotFound, match="kubectl does not tell its version"):
        find_kustomize(machine)


def test_a_person_is_told_how_to_get_it(machine: dict[str, str]) -> None:
    with pytest.raises(KustomizeNotFound) as caught:
        find_kustomize(machine)

    message = str(caught.value)
    assert message.startswith("There is no kustomize and no kubectl on the PATH.")
    for way in ("make setup", "apt install kustomize", "brew install kustomize", "go install", "KUSTOMIZE=/path"):
        assert way in message


def test_a_failed_build_carries_what_kustomize_said(tmp_path: Path) -> None:
    kustomize = Kustomize(("/bin/sh", "-c", "echo half; echo 'Error: no such file' >&2; exit 1"), "v5.8.1")

    with pytest.raises(KustomizeFailed) as caught:
        kustomize.build(tmp_path)

    assert caught.value.folder == tmp_path
    assert caught.value.stderr == "no such file"
    assert str(caught.value) == f"kustomize cannot build {tmp_path}: no such file"


def test_a_build_that_hangs_is_ended(tmp_path: Path) -> None:
    kustomize = Kustomize(("/bin/sh", "-c", "exec tail -f /dev/null"), "v5.8.1")

    with pytest.raises(KustomizeFailed, match=r"it did not finish within 0\.1 s"):
        kustomize.build(tmp_path, timeout=0.1)


def test_a_kustomize_that_went_away_is_a_failed_build(tmp_path: Path) -> None:
    with pytest.raises(KustomizeFailed, match="No such file"):
        Kustomize((str(tmp_path / "kustomize"), "build"), "v5.8.1").build(tmp_path)


@pytest.fixture
def real() -> Kustomize:
    try:
        return find_kustomize()
    except KustomizeNotFound as error:
        pytest.skip(f"builds are not tested with the real program: {error}")


def test_a_real_build_reads_bases_beside_the_folder(tmp_path: Path, real: Kustomize) -> None:
    base, overlay = tmp_path / "base", tmp_path / "my overlay"
    base.mkdir()
    overlay.mkdir()
    (base / "kustomization.yaml").write_text("configMapGenerator: [{name: words, literals: [greeting=góðan dag]}]\n")
    (overlay / "kustomization.yaml").write_text("namespace: iceland\nresources: [../base]\n")

    built = real.build(overlay).decode()

    assert "namespace: iceland" in built
    assert "greeting: góðan dag" in built


def test_a_real_build_fetches_nothing(tmp_path: Path, real: Kustomize) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: ['https://example.com/remote.yaml']\n")

    with pytest.raises(KustomizeFailed, match=r"127\.0\.0\.1:9|not allowed"):
        real.build(tmp_path)


def test_a_real_build_says_what_is_missing(tmp_path: Path, real: Kustomize) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: [absent.yaml]\n")

    with pytest.raises(KustomizeFailed, match=r"absent\.yaml"):
        real.build(tmp_path)


def archive(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def test_a_release_is_unpacked_only_when_its_checksum_is_right() -> None:
    release = archive(kustomize=b"program")

    assert kustomize_release.unpack(release, hashlib.sha256(release).hexdigest()) == b"program"
    with pytest.raises(kustomize_release.InstallFailed, match="it was not used"):
        kustomize_release.unpack(release + b"\0", hashlib.sha256(release).hexdigest())


def test_every_supported_platform_has_a_checksum() -> None:
    assert sorted(kustomize_release.DIGESTS) == ["darwin_amd64", "darwin_arm64", "linux_amd64", "linux_arm64"]
    assert all(len(bytes.fromhex(digest)) == 32 for digest in kustomize_release.DIGESTS.values())


def test_go_builds_the_pinned_release_where_it_cannot_be_downloaded(
    machine: dict[str, str], program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    go = program("go", "")
    go.write_text('#!/bin/sh\n[ "$1 $2" = "install $PACKAGE" ] && echo built > "$GOBIN/kustomize"\n')
    monkeypatch.setattr(kustomize_release, "urlopen", unreachable)
    monkeypatch.setenv("PATH", machine["PATH"])
    monkeypatch.setenv("PACKAGE", kustomize_release.GO_PACKAGE)
    target = installed_release(machine)

    kustomize_release.install(target)

    assert target.read_text() == "built\n"
    assert os.access(target, os.X_OK)
    assert os.listdir(target.parent) == ["kustomize"]

    go.unlink()
    with pytest.raises(kustomize_release.InstallFailed) as caught:
        kustomize_release.install(target)

    for reason in ("no route to host", "go is not on the PATH", "no apt-get here"):
        assert reason in str(caught.value)
