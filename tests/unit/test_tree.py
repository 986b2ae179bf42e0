"""Generated files are written whole or not at all, and nothing else is touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnelfleet.generate.files import header
from tunnelfleet.generate.tree import Drift, ForeignFile, apply, differences, orphans


def generated(text: str = "x: 1\n") -> str:
    return header("north") + text


WANTED = {
    "overlays/north/kustomization.yaml": generated(),
    "overlays/north/gateway-a/swanctl.conf": generated("connections {}\n"),
    "clusters/north/kustomization.yaml": generated(),
}


def snapshot(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def drift(root: Path) -> dict[str, Drift]:
    return {difference.path: difference.drift for difference in differences(root, "north", WANTED)}


def test_what_is_missing_is_written_and_then_nothing_differs(tmp_path: Path) -> None:
    assert set(drift(tmp_path).values()) == {Drift.MISSING}
    apply(tmp_path, "north", WANTED)
    assert snapshot(tmp_path) == {path: text.encode() for path, text in WANTED.items()}
    assert drift(tmp_path) == {}


def test_a_second_run_leaves_every_file_as_it_was(tmp_path: Path) -> None:
    apply(tmp_path, "north", WANTED)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert apply(tmp_path, "north", WANTED) == []
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_changed_byte_is_named_with_its_line(tmp_path: Path) -> None:
    apply(tmp_path, "north", WANTED)
    path = tmp_path / "overlays/north/gateway-a/swanctl.conf"
    path.write_text(path.read_text().replace("{}", "{ }"))
    (found,) = differences(tmp_path, "north", WANTED)
    assert (found.path, found.drift, found.line) == (
        "overlays/north/gateway-a/swanctl.conf",
        Drift.CHANGED,
        3,
    )


@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_any_other_byte_anywhere_is_noticed(tmp_path_factory: pytest.TempPathFactory, place: int, byte: int) -> None:
    root = tmp_path_factory.mktemp("tree")
    apply(root, "north", WANTED)
    path = root / "overlays/north/kustomization.yaml"
    content = bytearray(path.read_bytes())
    place %= len(content)
    changed = content[place] != byte
    content[place] = byte
    path.write_bytes(bytes(content))
    assert bool(differences(root, "north", WANTED)) == changed


def test_what_an_older_inventory_left_is_removed_with_its_folder(tmp_path: Path) -> None:
    apply(tmp_path, "north", WANTED | {"overlays/north/gateway-c/frr.conf": generated()})
    assert drift(tmp_path) == {"overlays/north/gateway-c/frr.conf": Drift.STALE}
    apply(tmp_path, "north", WANTED)
    assert not (tmp_path / "overlays/north/gateway-c").exists()


@pytest.mark.parametrize("path", ["overlays/north/notes.md", "overlays/north/gateway-a/swanctl.conf"])
def test_a_file_that_the_generator_did_not_write_stops_it_before_anything_changes(tmp_path: Path, path: str) -> None:
    foreign = tmp_path / path
    foreign.parent.mkdir(parents=True)
    foreign.write_text("mine\n")
    with pytest.raises(ForeignFile) as refused:
        apply(tmp_path, "north", WANTED)
    assert refused.value.paths == [path]
    assert snapshot(tmp_path) == {path: b"mine\n"}


def test_a_linked_folder_stops_it_before_anything_changes(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "overlays").mkdir()
    (tmp_path / "overlays/north").symlink_to(elsewhere)
    with pytest.raises(ForeignFile):
        apply(tmp_path, "north", WANTED)
    assert list(elsewhere.iterdir()) == []


def test_a_failure_half_way_puts_everything_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apply(tmp_path, "north", WANTED)
    before = snapshot(tmp_path)
    replace, calls = os.replace, []

    def fail_at_the_second(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise OSError("disk full")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_at_the_second)
    with pytest.raises(OSError, match="disk full"):
        apply(tmp_path, "north", {path: text + "more: 1\n" for path, text in WANTED.items()})
    assert snapshot(tmp_path) == before


def test_an_overlay_without_a_cluster_is_an_orphan(tmp_path: Path) -> None:
    apply(tmp_path, "north", WANTED)
    assert orphans(tmp_path, ["north"]) == []
    assert orphans(tmp_path, ["south"]) == ["north"]
