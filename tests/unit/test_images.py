"""The image: what goes into it, that it comes out the same each time, and that the pinned one is that one."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from shutil import which

import pytest
import yaml

from images.imagebuild.errors import BuildError
from images.imagebuild.lock import Lock, compare, format_lock, parse_lock, pin
from images.imagebuild.mirror import Source, sources_for_release
from images.imagebuild.oci import write_layout
from images.imagebuild.output import refuse_mounts, replacing
from images.imagebuild.packages import PackageList, parse_file_list, parse_package_list, parse_status
from images.imagebuild.tree import (
    STATUS,
    added_files,
    kept,
    packages_to_keep,
    parse_rules,
    paths_left_out,
    read_installed,
    write_layer,
)
from tests.support.daemons import REPOSITORY, image_root

IMAGES = REPOSITORY / "images"
PINNED = REPOSITORY / "base" / "image" / "kustomization.yaml"
EPOCH = 1_700_000_000
LABELS = {"org.opencontainers.image.version": "trixie-20231114"}
LOCK = Lock("amd64", EPOCH, f"sha256:{'a' * 64}", f"sha256:{'b' * 64}", {"frr": "10.3-3", "iproute2": "6.15"})

DPKG_STATUS = """\
Package: frr
Status: install ok installed
Version: 10.3-3
Description: routing
 Package: not a field, but the description's second line

Package: perl-base
Status: install ok installed
Version: 5.40.1-6

Package: gone
Status: deinstall ok config-files
Version: 1
"""


def archive(path: Path, members: dict[str, bytes | tarfile.TarInfo | None]) -> Path:
    """A tar archive as mmdebstrap writes it: None is a folder, a TarInfo is taken as it is."""
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(f"./{name}")
            info.name = f"./{name}"
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            if isinstance(content, bytes):
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return path


def installed_tree(path: Path) -> Path:
    return archive(
        path,
        {
            "etc": None,
            "etc/hostname": b"the builder's name",
            "usr": None,
            "usr/bin": None,
            "usr/bin/perl": b"perl",
            "usr/bin/vtysh": b"vtysh",
            "usr/share": None,
            "usr/share/perl": None,
            "var": None,
            "var/lib": None,
            "var/lib/dpkg": None,
            "var/lib/dpkg/info": None,
            "var/lib/dpkg/info/frr.list": b"/.\n/usr\n/usr/bin\n/usr/bin/vtysh\n",
            "var/lib/dpkg/info/perl-base.list": b"/.\n/usr\n/bin/perl\n/usr/share/perl\n",
            STATUS: DPKG_STATUS.encode(),
        },
    )


def names(layer: Path) -> list[str]:
    with tarfile.open(layer) as tar:
        return tar.getnames()


def everything(_path: str) -> bool:
    return True


class TestPackageList:
    def test_a_minus_marks_what_is_installed_and_left_out(self) -> None:
        packages = parse_package_list("frr # BGP\n\n# not needed\n-perl-base\n", "packages.list")

        assert packages == PackageList(("frr",), frozenset({"perl-base"}))

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("frr\nFRR\n", "packages.list:2: found 'FRR'; write one Debian package name"),
            ("frr iproute2\n", "packages.list:1: found 'frr iproute2'"),
            ("frr\n-frr\n", "packages.list:2: frr is listed twice"),
        ],
    )
    def test_other_lines_are_refused_with_their_number(self, text: str, words: str) -> None:
        with pytest.raises(BuildError, match=re.escape(words)):
            parse_package_list(text, "packages.list")

    def test_dpkg_knows_what_is_installed(self) -> None:
        packages = parse_status(DPKG_STATUS)

        assert [(package.name, package.version) for package in packages] == [
            ("frr", "10.3-3"),
            ("perl-base", "5.40.1-6"),
        ]

    def test_file_lists_are_read_as_merged_usr(self) -> None:
        assert parse_file_list("/.\n/bin\n/lib/x.so\n/usr/bin/vtysh\n/library\n") == {
            "usr/bin",
            "usr/lib/x.so",
            "usr/bin/vtysh",
            "library",
        }

    def test_leaving_out_a_package_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        installed = read_installed(installed_tree(tmp_path / "tree.tar"))

        with pytest.raises(BuildError, match="not installed: cron; remove"):
            packages_to_keep(installed, PackageList((), frozenset({"cron"})))

    def test_paths_of_a_package_left_out_go_unless_another_has_them(self, tmp_path: Path) -> None:
        installed = read_installed(installed_tree(tmp_path / "tree.tar"))
        keep = packages_to_keep(installed, PackageList((), frozenset({"perl-base"})))

        assert paths_left_out(installed, keep) == {"usr/bin/perl", "usr/share/perl"}

    def test_an_unfinished_tree_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(BuildError, match="did not finish"):
            read_installed(archive(tmp_path / "tree.tar", {"etc": None}))


class TestFileRules:
    @pytest.mark.parametrize(
        ("path", "stays"),
        [
            ("usr/bin/vtysh", True),
            ("usr/share/doc/frr/changelog.gz", False),
            ("usr/share/doc/frr/copyright", True),
            ("usr/share/doc/frr/copyright/old", False),
        ],
    )
    def test_the_last_rule_that_matches_decides(self, path: str, stays: bool) -> None:
        rules = parse_rules(
            "# documentation\n- usr/share/doc/*\n+ usr/share/doc/*/copyright\n- usr/*/old\n", "files.list"
        )

        assert kept(path, rules) is stays

    @pytest.mark.parametrize("line", ["usr/share/doc", "- /usr/share/doc", "-", "! usr"])
    def test_other_lines_are_refused_with_their_number(self, line: str) -> None:
        with pytest.raises(BuildError, match=re.escape(f"files.list:2: found '{line}'")):
            parse_rules(f"- dev/*\n{line}\n", "files.list")


class TestLayer:
    def test_it_has_the_chosen_files_their_folders_and_the_added_ones_in_order(self, tmp_path: Path) -> None:
        tree, layer = installed_tree(tmp_path / "tree.tar"), tmp_path / "layer.tar"

        write_layer(tree, layer, staying=lambda path: path == "usr/bin/vtysh", added={STATUS: b""}, epoch=EPOCH)

        folders = ["usr", "usr/bin", "usr/bin/vtysh", "var", "var/lib", "var/lib/dpkg"]
        assert names(layer) == [*folders, STATUS]

    def test_nothing_in_it_comes_from_the_builder(self, tmp_path: Path) -> None:
        odd = tarfile.TarInfo()
        odd.mode, odd.uid, odd.uname, odd.mtime = 0o4755, 10001, "builder", EPOCH + 99
        odd.pax_headers = {"SCHILY.xattr.security.capability": "x"}
        old = tarfile.TarInfo()
        old.mtime = EPOCH - 99
        device = tarfile.TarInfo()
        device.type = tarfile.CHRTYPE
        tree = archive(tmp_path / "tree.tar", {"old": old, "null": device, "su": odd})
        layer = tmp_path / "layer.tar"

        write_layer(tree, layer, staying=everything, added={}, epoch=EPOCH)

        with tarfile.open(layer) as tar:
            members = {member.name: member for member in tar}
        assert list(members) == ["old", "su"]
        assert (members["old"].mtime, members["su"].mtime) == (EPOCH - 99, EPOCH)
        su = members["su"]
        assert (su.mode, su.uid, su.uname, su.pax_headers) == (0o755, 10001, "", {})

    def test_the_order_of_the_tree_does_not_matter(self, tmp_path: Path) -> None:
        files: dict[str, bytes | tarfile.TarInfo | None] = {"b": b"2", "a": b"1", "c": None}
        forward = archive(tmp_path / "forward.tar", files)
        backward = archive(tmp_path / "backward.tar", dict(reversed(files.items())))
        for tree in (forward, backward):
            write_layer(tree, tree.with_suffix(".layer"), staying=everything, added={}, epoch=EPOCH)

        assert forward.with_suffix(".layer").read_bytes() == backward.with_suffix(".layer").read_bytes()

    def test_a_hard_link_to_what_is_left_out_is_refused(self, tmp_path: Path) -> None:
        link = tarfile.TarInfo()
        link.type, link.linkname = tarfile.LNKTYPE, "./usr/bin/perl"
        tree = archive(tmp_path / "tree.tar", {"perl": b"perl", "perl5": link})

        with pytest.raises(BuildError, match="perl5 is a hard link to"):
            write_layer(tree, tmp_path / "layer.tar", staying=everything, added={}, epoch=EPOCH)

    def test_scanners_find_the_packages_that_are_in_it_and_no_other(self, tmp_path: Path) -> None:
        own = tmp_path / "files"
        (own / "etc").mkdir(parents=True)
        (own / "etc" / "pam").write_text("permit")
        keep = [package for package in parse_status(DPKG_STATUS) if package.name == "frr"]

        files = added_files(own, keep)

        assert [package.name for package in parse_status(files[STATUS].decode())] == ["frr"]
        assert files["etc/pam"] == b"permit"
        assert files["etc/resolv.conf"] == b""


class TestMirror:
    def test_the_machines_debian_mirror_serves_the_images_release_too(self) -> None:
        debian = "http://mirror.example/debian/"
        security = "http://mirror.example/security/"
        sources = [
            Source("Debian", "bookworm", "main", debian),
            Source("Debian", "bookworm", "contrib", debian),
            Source("Debian", "bookworm-updates", "main", debian),
            Source("Debian", "bookworm-backports", "main", debian),
            Source("Debian", "bookworm-security", "main", security),
            Source("Another", "stable", "main", "http://another.example/"),
        ]

        assert sources_for_release(sources) == (
            f"deb {debian} trixie main",
            f"deb {debian} trixie-updates main",
            f"deb {security} trixie-security main",
        )

    def test_a_machine_without_debian_sources_leaves_it_to_mmdebstrap(self) -> None:
        assert sources_for_release([Source("Ubuntu", "noble", "main", "http://mirror.example/ubuntu/")]) == ()


class TestLayout:
    def test_it_is_an_oci_image_layout_whose_digests_hold(self, tmp_path: Path) -> None:
        layer = installed_tree(tmp_path / "layer.tar")
        folder = tmp_path / "oci"

        image = write_layout(folder, layer, architecture="amd64", epoch=EPOCH, labels=LABELS)

        assert json.loads((folder / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
        blobs = {f"sha256:{blob.name}": blob.read_bytes() for blob in (folder / "blobs" / "sha256").iterdir()}
        assert all(digest == f"sha256:{hashlib.sha256(blob).hexdigest()}" for digest, blob in blobs.items())
        (entry,) = json.loads((folder / "index.json").read_text())["manifests"]
        assert entry["digest"] == image.manifest.digest
        assert entry["annotations"]["org.opencontainers.image.ref.name"] == "trixie-20231114"
        manifest = json.loads(blobs[entry["digest"]])
        assert manifest["layers"][0]["size"] == len(blobs[image.layer.digest])
        config = json.loads(blobs[manifest["config"]["digest"]])
        assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer.read_bytes()).hexdigest()}"]
        assert config["created"] == "2023-11-14T22:13:20Z"

    def test_the_layer_unpacks_to_the_same_bytes(self, tmp_path: Path) -> None:
        layer = installed_tree(tmp_path / "layer.tar")

        image = write_layout(tmp_path / "oci", layer, architecture="amd64", epoch=EPOCH, labels=LABELS)

        blob = tmp_path / "oci" / "blobs" / "sha256" / image.layer.digest.removeprefix("sha256:")
        with tarfile.open(blob, "r:gz") as packed, tarfile.open(layer) as plain:
            assert packed.getnames() == plain.getnames()

    def test_the_same_layer_gives_the_same_image(self, tmp_path: Path) -> None:
        layer = installed_tree(tmp_path / "layer.tar")

        images = [
            write_layout(tmp_path / name, layer, architecture="amd64", epoch=EPOCH, labels=LABELS)
            for name in ("first", "second")
        ]

        assert images[0] == images[1]


class TestOutput:
    def test_an_older_build_is_replaced(self, tmp_path: Path) -> None:
        target, mark = tmp_path / "root", tmp_path / "root.layer"
        for content in ("old", "new"):
            with replacing(target, mark) as fresh:
                (fresh / "file").write_text(content)
            mark.touch()

        assert (target / "file").read_text() == "new"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["root", "root.layer"]

    def test_a_folder_that_it_did_not_write_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "thesis").touch()

        with (
            pytest.raises(BuildError, match="was not written by images/build"),
            replacing(tmp_path / "home", tmp_path / "home.layer"),
        ):
            pytest.fail("the folder must not be touched")

        assert (tmp_path / "home" / "thesis").exists()

    def test_a_failed_build_leaves_the_older_one(self, tmp_path: Path) -> None:
        target = tmp_path / "root"
        with replacing(target, target / "mark") as fresh:
            (fresh / "mark").touch()

        def fail() -> None:
            with replacing(target, target / "mark"):
                raise BuildError("tar failed")

        with pytest.raises(BuildError, match="tar failed"):
            fail()
        assert [path.name for path in tmp_path.iterdir()] == ["root"]
        assert (target / "mark").exists()

    def test_a_folder_with_something_mounted_below_is_refused(self, tmp_path: Path) -> None:
        mounts = tmp_path / "mounts"
        mounts.write_text("proc /proc proc rw 0 0\nproc /srv/image\\040root/proc proc rw 0 0\n")

        refuse_mounts(Path("/srv/image"), mounts)
        with pytest.raises(BuildError, match="/srv/image root/proc is mounted inside"):
            refuse_mounts(Path("/srv/image root"), mounts)


class TestLock:
    def test_it_is_read_as_it_was_written(self) -> None:
        assert parse_lock(format_lock(LOCK), "image.lock") == LOCK

    def test_a_damaged_one_says_how_to_mend_it(self) -> None:
        with pytest.raises(BuildError, match=r"image.lock is damaged .*; write it again with images/build --lock"):
            parse_lock("frr\n", "image.lock")

    def test_the_same_build_is_the_pinned_image(self) -> None:
        assert compare(LOCK, LOCK).text == "the image of base/image"

    def test_changed_packages_are_named_and_expected(self) -> None:
        comparison = compare(LOCK, replace(LOCK, layer="other", versions={"frr": "10.3-4"}))

        assert comparison.expected
        assert "frr: locked 10.3-3, built 10.3-4" in comparison.text
        assert "iproute2: locked 6.15, built absent" in comparison.text

    @pytest.mark.parametrize("built", [replace(LOCK, layer="sha256:0"), replace(LOCK, manifest="sha256:0")])
    def test_other_bytes_from_the_same_packages_are_not_expected(self, built: Lock) -> None:
        assert not compare(LOCK, built).expected

    def test_a_tree_alone_is_compared_without_the_image(self) -> None:
        assert compare(LOCK, replace(LOCK, manifest="")).expected

    def test_pinning_writes_tag_and_digest_and_keeps_the_rest(self) -> None:
        text = PINNED.read_text()

        pinned = pin(text, LOCK)

        assert yaml.safe_load(pinned)["images"] == [
            {
                "name": "tunnelfleet",
                "newName": yaml.safe_load(text)["images"][0]["newName"],
                "newTag": "trixie-20231114",
                "digest": LOCK.manifest,
            }
        ]
        assert "# yaml-language-server" in pinned

    def test_the_pinned_image_is_the_locked_one(self) -> None:
        lock = parse_lock((IMAGES / "image.lock").read_text(), "image.lock")

        assert pin(PINNED.read_text(), lock) == PINNED.read_text()


class TestRepository:
    def test_the_lists_of_the_image_can_be_read(self) -> None:
        packages = parse_package_list((IMAGES / "packages.list").read_text(), "packages.list")
        rules = parse_rules((IMAGES / "files.list").read_text(), "files.list")

        assert "frr" in packages.install
        assert "dpkg" in packages.leave_out
        assert kept("usr/lib/ipsec/plugins/libstrongswan-openssl.so", rules)
        assert not kept("usr/lib/ipsec/plugins/libstrongswan-stroke.so", rules)

    def test_what_the_lock_names_has_no_compiler_and_no_package_manager(self) -> None:
        versions = parse_lock((IMAGES / "image.lock").read_text(), "image.lock").versions

        assert not versions.keys() & {"apt", "dpkg", "gcc", "gcc-14", "perl-base", "systemd"}


class TestRoot:
    """The tree that `make image-root` made."""

    def test_every_library_of_every_program_is_there(self) -> None:
        executables = r'find /usr/bin /usr/sbin /usr/lib -type f \( -perm /111 -o -name "*.so*" \)'

        report = in_root(f"{executables} -exec ldd {{}} + 2>/dev/null || true")

        assert "linux-vdso.so" in report
        assert [line for line in report.splitlines() if "not found" in line] == []

    def test_no_program_runs_with_the_rights_of_another_user(self) -> None:
        assert in_root("find / -xdev -perm /6000") == ""

    def test_the_agents_libraries_can_be_imported(self) -> None:
        assert in_root("python3 -c 'import pyroute2; print(pyroute2.__name__)'") == "pyroute2\n"

    def test_swanctl_has_every_plugin_that_it_loads(self) -> None:
        said = in_root("swanctl --version 2>&1 || true")

        assert "strongSwan 6." in said
        assert "failed to load" not in said


def in_root(script: str) -> str:
    command = ["chroot", str(image_root()), "sh", "-c", script]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout


@pytest.mark.skipif(
    os.environ.get("TUNNELFLEET_BUILD_IMAGE") != "1" or which("mmdebstrap") is None,
    reason="SKIPPED, IT TAKES A MINUTE AND NEEDS mmdebstrap AND A NETWORK: set TUNNELFLEET_BUILD_IMAGE=1",
)
def test_two_builds_give_the_same_image(tmp_path: Path) -> None:
    digests = set()
    for name in ("first", "second"):
        subprocess.run([IMAGES / "build", "--oci", tmp_path / name], check=True)
        index = json.loads((tmp_path / name / "index.json").read_text())
        digests.add(index["manifests"][0]["digest"])

    assert len(digests) == 1
