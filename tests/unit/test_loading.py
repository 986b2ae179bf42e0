"""From the files under clusters/ to typed clusters, or to all that is wrong with them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.policies.support import FOLDER, VALID
from tunnelfleet.findings import Finding, Severity
from tunnelfleet.inventory.document import READING, parse
from tunnelfleet.inventory.fields import shown
from tunnelfleet.inventory.loading import Reading, cluster_folders, load, validate
from tunnelfleet.inventory.model import Cluster

SMALLEST = (VALID / "smallest.yaml").read_text("utf-8")
EVERY_KEY = (VALID / "every-key.yaml").read_text("utf-8")
DATA: dict[str, Any] = yaml.load(EVERY_KEY, yaml.CSafeLoader)
FILE = f"clusters/{FOLDER}/cluster.yaml"


def write(root: Path, text: str | bytes, folder: str = FOLDER) -> Path:
    path = root / "clusters" / folder / "cluster.yaml"
    path.parent.mkdir(parents=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def only(reading: Reading) -> Finding:
    assert reading.loaded is None
    assert len(reading.findings) == 1
    return reading.findings[0]


class TestFolders:
    def test_are_sorted_without_files_and_hidden_ones(self, tmp_path: Path) -> None:
        for name in ("b", "a", "c", ".git"):
            (tmp_path / "clusters" / name).mkdir(parents=True)
        (tmp_path / "clusters" / "README.md").touch()
        assert cluster_folders(tmp_path) == ["a", "b", "c"]

    def test_no_clusters_at_all(self, tmp_path: Path) -> None:
        assert cluster_folders(tmp_path) == []

    def test_clusters_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "clusters").touch()
        with pytest.raises(NotADirectoryError):
            cluster_folders(tmp_path)

    @pytest.mark.parametrize("target", ["nowhere", "loop", ".."])
    def test_a_link_is_not_passed_over_in_silence(self, tmp_path: Path, target: str) -> None:
        (tmp_path / "clusters").mkdir()
        (tmp_path / "clusters" / "loop").symlink_to(target)
        assert cluster_folders(tmp_path) == ["loop"]
        found = only(load(tmp_path, "loop"))
        assert found.message == "the folder has no cluster.yaml"
        assert found.location.file == "clusters/loop/cluster.yaml"

    def test_a_folder_without_an_inventory(self, tmp_path: Path) -> None:
        (tmp_path / "clusters" / FOLDER).mkdir(parents=True)
        found = only(load(tmp_path, FOLDER))
        assert found.message == "the folder has no cluster.yaml"
        assert found.hint == "write one with `tunnelfleet new iceland-prod`, or remove the folder"

    def test_a_dangling_link_is_not_an_absent_file(self, tmp_path: Path) -> None:
        (tmp_path / "clusters" / FOLDER).mkdir(parents=True)
        (tmp_path / FILE).symlink_to("nowhere.yaml")
        assert only(load(tmp_path, FOLDER)).message == "the file cannot be read: No such file or directory"

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux takes any bytes as a name: NOT tested here")
    @pytest.mark.parametrize("name", [b"caf\xe9", b"a\nb", b"\x1b[31mred", "a\u202eb".encode()])
    def test_a_name_that_cannot_be_printed(self, tmp_path: Path, name: bytes) -> None:
        (tmp_path / "clusters").mkdir()
        os.mkdir(os.fsencode(tmp_path / "clusters") + b"/" + name)
        [folder] = cluster_folders(tmp_path)
        found = only(load(tmp_path, folder))
        assert found.message == "the folder's name has characters that cannot be printed"
        assert found.location.file.isascii()
        assert found.location.file.isprintable()


class TestLoading:
    def test_a_cluster_with_its_places(self, tmp_path: Path) -> None:
        write(tmp_path, SMALLEST)
        reading = load(tmp_path, FOLDER)
        assert reading.findings == ()
        assert reading.loaded is not None
        assert reading.loaded.name == FOLDER
        location = reading.loaded.locate("spec", "bgp", "localASN")
        line = SMALLEST.split("\n")[location.line - 1]
        assert line[location.column - 1 : location.end_column - 1] == "65010"

    def test_findings_carry_the_folder_whatever_the_name_says(self, tmp_path: Path) -> None:
        write(tmp_path, SMALLEST.replace("asn: 64514", "asn: many"), folder="elsewhere")
        assert only(load(tmp_path, "elsewhere")).cluster == "elsewhere"

    def test_a_repeated_key_does_not_keep_the_rest_from_being_checked(self, tmp_path: Path) -> None:
        write(tmp_path, SMALLEST + "kind: Cluster\n")
        reading = load(tmp_path, FOLDER)
        assert reading.loaded is not None
        assert [finding.policy for finding in reading.findings] == [READING]

    def test_a_file_that_cannot_be_read_does_not_stop_the_others(self, tmp_path: Path) -> None:
        write(tmp_path, b"\xff", folder="a")
        write(tmp_path, SMALLEST, folder="b")
        readings = [load(tmp_path, folder) for folder in cluster_folders(tmp_path)]
        assert [reading.loaded is not None for reading in readings] == [False, True]

    def test_all_mistakes_are_told_at_once(self, tmp_path: Path) -> None:
        text = SMALLEST.replace("asn: 64514", "asn: many").replace("10.234.0.0/16]", "10.234.0.0/99]", 1)
        write(tmp_path, text.replace("localASN:", "localAsn:"))
        messages = [finding.message for finding in load(tmp_path, FOLDER).findings]
        assert len(messages) == 3, messages


def problems(text: str) -> list[str]:
    """Messages and hints of what is wrong with a cluster's text."""
    document, unreadable = parse(FILE, text)
    assert document is not None, unreadable
    _, found = validate(document)
    return [f"{finding.message} -> {finding.hint}" for finding in found]


class TestComplaints:
    """One complaint for one mistake, which says what to write."""

    def test_a_misspelt_key_is_not_missing_too(self) -> None:
        assert problems(SMALLEST.replace("localASN:", "localAsn:")) == [
            "unknown key `localAsn` in spec.bgp -> did you mean `localASN`?"
        ]

    def test_a_union_complains_of_one_side(self) -> None:
        text = SMALLEST.replace(
            "      tunnels:", "      overrides: {bfd: {interval: fast, multiplier: 3}}\n      tunnels:"
        )
        assert problems(text) == [
            "spec.remotes[0].overrides.bfd.interval: expected a whole number, found `fast` -> write a whole number"
        ]

    def test_a_key_may_be_called_as_a_model_is(self) -> None:
        text = SMALLEST.replace("environment: prod", "Bfd: 3")
        assert problems(text) == ["metadata.labels.Bfd: expected text, found the number 3 -> put it in quotes"]

    def test_a_key_that_is_like_no_other_lists_those_that_are_known(self) -> None:
        assert problems(SMALLEST.replace("localASN:", "colour: blue, localASN:")) == [
            "unknown key `colour` in spec.bgp -> known here: internalASN, localASN, password"
        ]

    def test_a_huge_value_is_quoted_in_part(self) -> None:
        [found] = problems(SMALLEST.replace("asn: 64514", f"asn: {'x' * 5000}"))
        assert len(found) < 200

    @pytest.mark.parametrize(
        ("key", "written", "advice"),
        [
            ("replayWindow", "1100", "expected a multiple of 32, found the number 1100 -> write 1120"),
            ("hold", "2", "expected at least 3, found the number 2 -> write 3 or more"),
            ("mtu", "9001", "expected at most 9000, found the number 9001 -> write 9000 or less"),
            ("initiator", "us", "expected local, remote or either, found `us` -> write local or remote or either"),
            ("dpdDelay", "5s", "expected a whole number, found `5s` -> write a whole number"),
            ("insideAllowed", "[]", "expected at least 1 item, found 0 -> add 1 more"),
        ],
    )
    def test_overrides(self, key: str, written: str, advice: str) -> None:
        text = SMALLEST.replace("      tunnels:", f"      overrides: {{{key}: {written}}}\n      tunnels:")
        assert problems(text) == [f"spec.remotes[0].overrides.{key}: {advice}"]

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (None, "nothing"),
            (True, "the truth value true"),
            (3, "the number 3"),
            ([], "a list"),
            ({}, "a mapping"),
            ("a", "`a`"),
        ],
    )
    def test_values_are_shown_in_the_words_of_yaml(self, value: Any, text: str) -> None:
        assert shown(value) == text


def keys(data: Any) -> set[str]:
    inner = list(data.values()) if isinstance(data, dict) else data if isinstance(data, list) else []
    return set(data if isinstance(data, dict) else ()).union(*map(keys, inner))


def test_the_fixture_with_every_key_has_every_key() -> None:
    models = [Cluster.model_json_schema(), *Cluster.model_json_schema()["$defs"].values()]
    assert {key for model in models for key in model["properties"]} <= keys(DATA)


def leaves(data: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Ways to all values, collections too."""
    inner: list[tuple[str | int, Any]] = []
    if isinstance(data, dict):
        inner = list(data.items())
    elif isinstance(data, list):
        inner = list(enumerate(data))
    return [*([path] if path else []), *(each for part, value in inner for each in leaves(value, (*path, part)))]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def spoilt(draw: st.DrawFn) -> dict[str, Any]:
    """The inventory with every key, a few of its values replaced by anything."""
    data: dict[str, Any] = yaml.load(EVERY_KEY, yaml.CSafeLoader)
    for path in draw(st.lists(st.sampled_from(leaves(DATA)), min_size=1, max_size=3, unique=True)):
        container: Any = data
        part: Any
        for part in path[:-1]:
            container = container[part] if _has(container, part) else None
        if _has(container, path[-1]):
            container[path[-1]] = draw(ANYTHING)
    return data


def _has(container: Any, part: Any) -> bool:
    if isinstance(container, dict):
        return part in container
    return isinstance(container, list) and isinstance(part, int) and part < len(container)


class TestAnyInventory:
    @given(spoilt())
    @settings(suppress_health_check=[HealthCheck.too_slow])
    def test_is_a_cluster_or_findings_with_places_and_hints(self, data: dict[str, Any]) -> None:
        text = yaml.dump(data, Dumper=yaml.CSafeDumper, allow_unicode=True)
        document, found = parse(FILE, text)
        cluster = None
        if document is not None:
            cluster, refused = validate(document)
            found += refused
        assert (cluster is None) == bool(found)
        lines = text.split("\n")
        for finding in found:
            assert finding.policy == READING
            assert finding.severity is Severity.ERROR
            assert finding.message
            assert finding.hint
            assert finding.location.file == FILE
            assert finding.location.line <= len(lines)

    @given(st.randoms(use_true_random=False))
    def test_the_order_of_keys_means_nothing(self, random: Any) -> None:
        def shuffled(value: Any) -> Any:
            if isinstance(value, dict):
                items = [(key, shuffled(inner)) for key, inner in value.items()]
                random.shuffle(items)
                return dict(items)
            return [shuffled(inner) for inner in value] if isinstance(value, list) else value

        text = yaml.dump(shuffled(DATA), Dumper=yaml.CSafeDumper, sort_keys=False)
        document, _ = parse(FILE, text)
        assert document is not None
        assert validate(document)[0] == Cluster.model_validate(DATA)
