"""The RAM disk of the virtual machine."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.lab.host.initramfs import Entry, file, folder, walk, write


def archive(*entries: Entry) -> bytes:
    result = io.BytesIO()
    write(result, entries)
    return result.getvalue()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "etc/deep").mkdir(parents=True)
    (root / "etc/b").write_text("two\n")
    (root / "etc/a").write_text("one")
    (root / "etc/a").chmod(0o640)
    os.utime(root / "etc/a", (1_000_000_000, 1_000_000_000))
    (root / "etc/link").symlink_to("/etc/nowhere")
    os.mkfifo(root / "etc/pipe")
    (root / "boot").mkdir()
    (root / "boot/kernel").write_text("big")
    return root


def test_a_tree_is_listed_sorted_with_parents_first(tree: Path) -> None:
    names = [entry.name for entry in walk(tree)]

    assert names == ["boot", "boot/kernel", "etc", "etc/a", "etc/b", "etc/deep", "etc/link"]


def test_what_is_not_kept_is_left_out_with_all_below_it(tree: Path) -> None:
    names = [entry.name for entry in walk(tree, "image", keep=lambda path: path not in ("boot", "etc/deep"))]

    assert names == ["image/etc", "image/etc/a", "image/etc/b", "image/etc/link"]


def test_a_file_keeps_its_permissions_owner_and_time(tree: Path) -> None:
    entry = next(entry for entry in walk(tree) if entry.name == "etc/a")

    assert oct(entry.mode) == "0o100640"
    assert (entry.owner, entry.group, entry.modified) == (os.getuid(), (tree / "etc/a").stat().st_gid, 1_000_000_000)


def test_the_same_entries_give_the_same_bytes(tree: Path) -> None:
    assert archive(*walk(tree)) == archive(*walk(tree))


def test_an_archive_starts_and_ends_as_the_format_says() -> None:
    data = archive(file("init", b"#!", 0o755))

    assert data.startswith(b"070701" + b"00000001" + b"000081ED")
    assert b"TRAILER!!!" in data
    assert len(data) % 4 == 0


def test_archives_can_follow_each_other() -> None:
    first, second = archive(folder("etc")), archive(file("etc/odd", b"12345"))

    assert len(first) % 4 == 0
    assert (first + second).count(b"070701") == 4


@pytest.mark.skipif(shutil.which("cpio") is None, reason="NOT TESTED: needs cpio")
def test_cpio_unpacks_it(tree: Path, tmp_path: Path) -> None:
    target = tmp_path / "unpacked"
    target.mkdir()

    subprocess.run(["cpio", "-idm", "--quiet"], input=archive(*walk(tree)), cwd=target, check=True)

    assert (target / "etc/b").read_text() == "two\n"
    assert os.readlink(target / "etc/link") == "/etc/nowhere"
    assert (target / "etc/a").stat().st_mtime == 1_000_000_000
