"""The tree of the machine that the twin lives on, and the RAM disk made from it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from images.imagebuild.packages import parse_package_list
from tests.lab.host import tree, trees
from tests.lab.host.errors import LabError


@pytest.fixture
def cache(tmp_path: Path) -> trees.Trees:
    """Two small trees that look as if they had just been made."""
    made = trees.Trees(tmp_path)
    (made.lab / "boot").mkdir(parents=True)
    (made.lab / "boot/vmlinuz-6.12.9").touch()
    (made.lab / "usr").mkdir()
    (made.lab / "usr/program").write_text("old")
    (made.image / "etc").mkdir(parents=True)
    made.lab_stamp.write_text(tree.digest())
    made.image_stamp.write_text("sha256:1")
    return made


def test_the_package_list_can_be_read() -> None:
    packages = parse_package_list(tree.LIST.read_text(), tree.LIST.name)

    assert {"runc", "bird2", "python3-pytest"} <= set(packages.install)


def test_packages_are_installed_with_the_processors_kernel_and_purged_at_the_end() -> None:
    packages = parse_package_list("runc\n-udev\n", "packages.list")

    command = tree.mmdebstrap(packages, "aarch64", Path("/target"), ["deb uri trixie main"])

    assert "--include=runc,linux-image-cloud-arm64" in command
    assert '--customize-hook=dpkg --root="$1" --force-all --purge udev' in command
    assert command[-3:] == ["trixie", "/target", "deb uri trixie main"]


def test_a_processor_without_a_kernel_is_named() -> None:
    with pytest.raises(LabError, match=r"this machine is riscv64; the twin's kernel is for x86_64 or aarch64"):
        tree.kernel_package("riscv64")


def test_a_fresh_tree_is_left_alone(cache: trees.Trees) -> None:
    tree.build(cache.lab, cache.lab_stamp)

    assert (cache.lab / "usr/program").read_text() == "old"


def test_without_root_an_old_tree_is_refused_before_anything_is_touched(
    cache: trees.Trees, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.lab_stamp.write_text("another recipe")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(LabError, match="made by root"):
        tree.build(cache.lab, cache.lab_stamp)

    assert (cache.lab / "usr/program").exists()


def test_without_mmdebstrap_its_package_is_named(cache: trees.Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.lab_stamp.unlink()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(LabError, match="apt-get install mmdebstrap"):
        tree.build(cache.lab, cache.lab_stamp)


def test_a_build_that_fails_leaves_the_old_tree(cache: trees.Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.lab_stamp.write_text("another recipe")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr(tree, "mmdebstrap", lambda *_: ["sh", "-c", "echo E: no such package; exit 25"])

    with pytest.raises(LabError, match=r"could not make .* \(25\):\nE: no such package"):
        tree.build(cache.lab, cache.lab_stamp)

    assert (cache.lab / "usr/program").read_text() == "old"
    assert cache.lab_stamp.read_text() == "another recipe"


def test_without_the_images_tree_it_says_how_to_make_it(cache: trees.Trees) -> None:
    cache.image_stamp.unlink()

    with pytest.raises(LabError, match="make image-root"):
        trees.prepare(cache.cache)


def test_the_disk_holds_both_trees_and_no_kernel(cache: trees.Trees) -> None:
    data = trees.disk(cache).read_bytes()

    assert b"usr/program\0" in data
    assert b"image/etc\0" in data
    assert b"vmlinuz" not in data


@pytest.mark.parametrize("stamp", ["lab_stamp", "image_stamp"])
def test_the_disk_is_written_again_only_when_a_tree_has_changed(cache: trees.Trees, stamp: str) -> None:
    trees.disk(cache)
    (cache.lab / "usr/program").write_text("new")

    assert b"old" in trees.disk(cache).read_bytes()

    getattr(cache, stamp).write_text("another")

    assert b"new" in trees.disk(cache).read_bytes()


def test_a_tree_without_a_kernel_is_no_machine(cache: trees.Trees) -> None:
    (cache.lab / "boot/vmlinuz-6.12.9").unlink()

    with pytest.raises(LabError, match="has no kernel"):
        _ = cache.kernel
