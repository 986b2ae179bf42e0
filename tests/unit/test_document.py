"""Reading a YAML file: the places of its values, and what is refused of a file that nobody can be trusted to write."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tunnelfleet.findings import Finding, Location
from tunnelfleet.inventory.document import MAXIMUM_BYTES, MAXIMUM_DEPTH, READING, Document, YamlPath, parse, read

FILE = "clusters/x/cluster.yaml"


def read_well(text: str) -> Document:
    document, findings = parse(FILE, text)
    assert not findings
    assert document is not None
    return document


def refusal(text: str) -> Finding:
    """The one finding of a text of which nothing can be used."""
    document, findings = parse(FILE, text)
    assert document is None
    assert len(findings) == 1
    return findings[0]


def place(line: int, column: int, end_column: int = 0) -> Location:
    return Location(FILE, line, column, end_column)


class TestData:
    """Plain scalars are those of the core schema of YAML 1.2 (chapter 10.3.2)."""

    @pytest.mark.parametrize(
        ("written", "value"),
        [
            ("yes", "yes"),
            ("no", "no"),
            ("on", "on"),
            ("12:30", "12:30"),
            ("1_000", "1_000"),
            ("0o17", "0o17"),
            ("0x1F", "0x1F"),
            ("010", "010"),
            ("2026-11-23", "2026-11-23"),
            ("10.0.0.0/16", "10.0.0.0/16"),
            ("true", True),
            ("FALSE", False),
            ("12", 12),
            ("-12", -12),
            ("+12", 12),
            ("0", 0),
            ("1.5", 1.5),
            ("1e3", 1000.0),
            (".5", 0.5),
            ("~", None),
            ("null", None),
            ("", None),
            ('"12"', "12"),
            ("'true'", "true"),
            ('""', ""),
            ("!!str 12", "12"),
        ],
    )
    def test_scalars(self, written: str, value: Any) -> None:
        found = read_well(f"a: {written}\n").data["a"]
        assert found == value
        assert type(found) is type(value)

    def test_a_number_of_too_many_digits_is_no_integer(self) -> None:
        assert isinstance(read_well("a: " + "9" * 400).data["a"], float)

    def test_collections_in_both_styles(self) -> None:
        text = "a: {b: [1, two], c: {}}\nd:\n  - e: 1\n    f: 2\n  - []\n"
        assert read_well(text).data == {"a": {"b": [1, "two"], "c": {}}, "d": [{"e": 1, "f": 2}, []]}

    def test_multi_line_text(self) -> None:
        assert read_well("a: >-\n  one\n  two\nb: |\n  three\n").data == {"a": "one two", "b": "three\n"}

    def test_a_byte_order_mark_is_no_content(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
        document, _ = read(tmp_path, tmp_path / "a.yaml")
        assert document is not None
        assert document.data == {"a": 1}
        assert document.locate(("a",)).column == 4

    @pytest.mark.parametrize("ending", ["\n", "\r\n"])
    def test_line_ends(self, ending: str) -> None:
        document = read_well(ending.join(["a:", "  b: 1", "c: 2", ""]))
        assert document.data == {"a": {"b": 1}, "c": 2}
        assert document.locate(("c",)).line == 3


class TestPlaces:
    TEXT = 'a: 1\nlist:\n  - {b: "text", c: [x, 10.0.0.0/16]}\n  - d:\n      e: ä 1 # comment\n'

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ((), place(1, 1)),
            (("a",), place(1, 4, 5)),
            (("list",), place(3, 3)),
            (("list", 0), place(3, 5)),
            (("list", 0, "b"), place(3, 9, 15)),
            (("list", 0, "c", 1), place(3, 24, 35)),
            (("list", 1, "d", "e"), place(5, 10, 13)),
        ],
    )
    def test_of_values(self, path: YamlPath, expected: Location) -> None:
        assert read_well(self.TEXT).locate(path) == expected

    @pytest.mark.parametrize(
        ("path", "expected"),
        [(("a",), place(1, 1, 2)), (("list", 0, "c"), place(3, 17, 18)), (("list", 1, "d"), place(4, 5, 6))],
    )
    def test_of_keys(self, path: YamlPath, expected: Location) -> None:
        assert read_well(self.TEXT).locate_key(path) == expected

    def test_of_what_is_not_there_is_the_nearest_parent(self) -> None:
        document = read_well(self.TEXT)
        assert document.locate(("list", 1, "d", "x", "y")) == document.locate(("list", 1, "d"))
        assert document.locate(("nothing",)) == place(1, 1)

    def test_of_the_key_of_an_item_is_the_items(self) -> None:
        assert read_well(self.TEXT).locate_key(("list", 0)) == place(3, 5)

    def test_text_over_several_lines_has_no_end_column(self) -> None:
        assert read_well('a: "one\n  two"\n').locate(("a",)) == place(1, 4)

    def test_columns_count_characters(self) -> None:
        assert read_well("a: {ä: 1, 😀: 2}\n").locate(("a", "😀")) == place(1, 14, 15)


class TestRepeatedKeys:
    def test_each_repeat_is_told_with_the_first_which_counts(self) -> None:
        document, findings = parse(FILE, "a: 1\nb: 2\na: 3\na: 4\n")
        assert document is not None
        assert document.data == {"a": 1, "b": 2}
        assert [finding.location for finding in findings] == [place(3, 1, 2), place(4, 1, 2)]
        assert {finding.related for finding in findings} == {(place(1, 1, 2),)}
        assert findings[0].message == f"the key `a` stands twice; the first is at {FILE}:1:1"

    def test_what_repeats_hold_repeats_nothing(self) -> None:
        _, findings = parse(FILE, "a: {x: 1}\na: {x: 2}\na: {x: 3}\n")
        assert [finding.location.line for finding in findings] == [2, 3]

    def test_a_repeat_within_a_repeat_is_told(self) -> None:
        _, findings = parse(FILE, "a: {x: 1}\na: {x: 2, x: 3}\n")
        assert [finding.location for finding in findings] == [place(2, 1, 2), place(2, 11, 12)]

    def test_equal_keys_in_different_mappings_are_no_repeats(self) -> None:
        assert read_well("a: {x: 1}\nb: {x: 1}\nc: [{x: 1}, {x: 1}]\n")

    def test_keys_equal_after_unquoting_are_repeats(self) -> None:
        _, findings = parse(FILE, "a: 1\n'a': 2\n\"a\": 3\n")
        assert len(findings) == 2


class TestRefused:
    @pytest.mark.parametrize(
        ("text", "expected", "message"),
        [
            ("a: &x 1\n", place(1, 4), "an anchor (&x)"),
            ("a: &x {b: 1}\n", place(1, 4), "an anchor (&x)"),
            ("a: *x\n", place(1, 4), "an alias (*x)"),
            ("? *x\n: 1\n", place(1, 3), "an alias (*x)"),
            ("a:\n  <<: {b: 1}\n", place(2, 3), "a merge key (<<)"),
            ("a: !!python/object:os.system x\n", place(1, 4), "a tag (tag:yaml.org,2002:python/object:os.system)"),
            ("a: !secret x\n", place(1, 4), "a tag (!secret)"),
            ("!!map {a: 1}\n", place(1, 1), "a tag (tag:yaml.org,2002:map)"),
            ("? [a, b]\n: 1\n", place(1, 3), "a key that is not plain text"),
            ("{[a]: 1}\n", place(1, 2), "a key that is not plain text"),
            ("a: 1\n---\nb: 2\n", place(2, 1), "a second YAML document"),
            ("", place(1, 1), "the file is empty"),
            ("\n\n", place(1, 1), "the file is empty"),
            ("# a comment\n", place(1, 1), "the file is empty"),
            ("---\n", place(1, 1), "the file is empty"),
            ("null\n", place(1, 1), "the file is empty"),
            ("a:\n\tb: 1\n", place(2, 1), "a tab where YAML wants spaces"),
            ("a: 1\n  b: 2\n", place(2, 4), "not YAML: mapping values are not allowed in this context"),
            (
                "a: [1, 2\nb: 3\n",
                place(2, 2),
                "not YAML: did not find expected ',' or ']'"
                " while parsing a flow sequence that began at line 1, column 4",
            ),
            (
                "a: 'text\nb: 3\n",
                place(1, 4),
                "not YAML: the file ends while scanning a quoted scalar that began at line 1, column 4",
            ),
            ("a: \x00\n", place(1, 4), "the character U+0000, which does not belong into a text file"),
            ("a: 1\nb: \x1b[31m\n", place(2, 4), "the character U+001B, which does not belong into a text file"),
            ("a: \ud800\n", place(1, 4), "the character U+D800, which does not belong into a text file"),
            ("a: \ufeff\n", place(1, 4), "the character U+FEFF, which does not belong into a text file"),
        ],
    )
    def test_content(self, text: str, expected: Location, message: str) -> None:
        found = refusal(text)
        assert (found.location, found.message) == (expected, message)
        assert found.policy == READING
        assert found.hint

    def test_a_tab_in_text_or_a_comment_is_none_of_yamls_business(self) -> None:
        assert read_well('a: "x\ty" #\tcomment\n').data == {"a": "x\ty"}

    def test_as_deep_as_allowed_and_one_deeper(self) -> None:
        assert read_well("[" * MAXIMUM_DEPTH + "]" * MAXIMUM_DEPTH)
        assert refusal("[" * (MAXIMUM_DEPTH + 1) + "]" * (MAXIMUM_DEPTH + 1)).message == (
            f"nested more than {MAXIMUM_DEPTH} levels deep"
        )

    @pytest.mark.parametrize("bracket", ["[", "{a: ", "- ", "? "])
    def test_a_megabyte_of_brackets_is_not_read_to_its_end(self, bracket: str) -> None:
        assert refusal(bracket * (MAXIMUM_BYTES // len(bracket))).location.line == 1

    def test_billion_laughs_ends_at_the_first_anchor(self) -> None:
        laughs = "a0: &a0 [lol, lol]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
        assert refusal(laughs).location == place(1, 5)

    def test_what_was_found_before_the_end_is_told_too(self) -> None:
        document, findings = parse(FILE, "a: 1\na: 2\nb: *x\n")
        assert document is None
        assert [finding.location.line for finding in findings] == [2, 3]


class TestFiles:
    """Whatever stands where a file is due."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        (tmp_path / "tree").mkdir()
        return tmp_path / "tree"

    def refusal(self, root: Path, name: str = "a.yaml") -> Finding:
        document, findings = read(root, root / name)
        assert document is None
        assert len(findings) == 1
        assert findings[0].location.file == name
        assert findings[0].hint
        return findings[0]

    def test_not_utf_8(self, root: Path) -> None:
        (root / "a.yaml").write_bytes("a: 1\nb: ü\n".encode("latin-1"))
        found = self.refusal(root)
        assert found.message == "not UTF-8 text: byte 0xfc at offset 8"
        assert (found.location.line, found.location.column) == (2, 4)

    def test_utf_16(self, root: Path) -> None:
        (root / "a.yaml").write_bytes("a: 1\n".encode("utf-16"))
        assert self.refusal(root).message == "not UTF-8 text: byte 0xff at offset 0"

    def test_binary(self, root: Path) -> None:
        (root / "a.yaml").write_bytes(b"\x7fELF\x02\x01\x01\x00" * 100)
        assert self.refusal(root).message == "the character U+007F, which does not belong into a text file"

    def test_empty(self, root: Path) -> None:
        (root / "a.yaml").touch()
        assert self.refusal(root).message == "the file is empty"

    def test_fifty_megabytes(self, root: Path) -> None:
        with (root / "a.yaml").open("wb") as file:
            file.truncate(50 * 1024 * 1024)
        assert self.refusal(root).message == "the file is 52,428,800 bytes long, at most 1,048,576 are read"

    def test_as_long_as_allowed(self, root: Path) -> None:
        (root / "a.yaml").write_text("a: 1\n".ljust(MAXIMUM_BYTES, "#"))
        document, findings = read(root, root / "a.yaml")
        assert document is not None
        assert not findings

    def test_missing(self, root: Path) -> None:
        assert self.refusal(root).message == "the file cannot be read: No such file or directory"

    def test_a_folder(self, root: Path) -> None:
        (root / "a.yaml").mkdir()
        assert self.refusal(root).message == "not a regular file"

    def test_a_pipe_is_not_waited_for(self, root: Path) -> None:
        os.mkfifo(root / "a.yaml")
        assert self.refusal(root).message == "not a regular file"

    def test_a_socket(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # a socket's path is short, so it is bound from within the folder
        monkeypatch.chdir(root)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("a.yaml")
            assert self.refusal(root).message == "not a regular file"

    def test_a_device(self, root: Path) -> None:
        (root / "a.yaml").symlink_to("/dev/zero")
        assert self.refusal(root).message == "a symbolic link that leads out of the repository"

    def test_a_link_out_of_the_tree(self, root: Path) -> None:
        (root.parent / "secret.yaml").write_text("a: 1\n")
        (root / "a.yaml").symlink_to("../secret.yaml")
        assert self.refusal(root).message == "a symbolic link that leads out of the repository"

    def test_a_folder_that_is_a_link_out_of_the_tree(self, root: Path) -> None:
        (root.parent / "elsewhere").mkdir()
        (root.parent / "elsewhere" / "a.yaml").write_text("a: 1\n")
        (root / "folder").symlink_to("../elsewhere")
        assert self.refusal(root, "folder/a.yaml").message == "a symbolic link that leads out of the repository"

    def test_a_link_within_the_tree(self, root: Path) -> None:
        (root / "b.yaml").write_text("a: 1\n")
        (root / "a.yaml").symlink_to("b.yaml")
        document, findings = read(root, root / "a.yaml")
        assert document is not None
        assert not findings

    def test_a_root_that_is_a_link(self, root: Path) -> None:
        (root / "a.yaml").write_text("a: 1\n")
        (root.parent / "link").symlink_to("tree")
        document, _ = read(root.parent / "link", root.parent / "link" / "a.yaml")
        assert document is not None
        assert document.file == "a.yaml"

    def test_a_loop_of_links(self, root: Path) -> None:
        (root / "a.yaml").symlink_to("b.yaml")
        (root / "b.yaml").symlink_to("a.yaml")
        assert self.refusal(root).message.startswith("the file cannot be read: ")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read whatever there is: permissions are NOT tested")
    def test_without_permission(self, root: Path) -> None:
        (root / "a.yaml").touch(mode=0)
        assert self.refusal(root).message == "the file cannot be read: Permission denied"


KEYS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=5)
# no digits: the writer follows YAML 1.1, in which 1e3 is text and needs no quotes
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Nd"]), max_size=10)
SCALARS = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXTS
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4))


def paths(data: Any, path: YamlPath = ()) -> list[YamlPath]:
    inner: list[tuple[str | int, Any]] = []
    if isinstance(data, dict):
        inner = list(data.items())
    elif isinstance(data, list):
        inner = list(enumerate(data))
    return [path, *(each for part, value in inner for each in paths(value, (*path, part)))]


class TestAnyDocument:
    @given(st.dictionaries(KEYS, TREES, min_size=1, max_size=4), st.sampled_from([None, True, False]))
    def test_what_was_written_is_read_and_every_value_has_its_place(
        self, data: dict[str, Any], flow: bool | None
    ) -> None:
        text = yaml.dump(data, Dumper=yaml.CSafeDumper, default_flow_style=flow, allow_unicode=True, sort_keys=False)
        document = read_well(text)
        assert document.data == data
        assert set(document.values) == set(paths(data))
        lines = text.split("\n")
        for location in document.values.values():
            assert 1 <= location.line <= len(lines)
            assert 1 <= location.column <= len(lines[location.line - 1]) + 1

    @given(st.text(st.sampled_from("ab: \t\n-[]{}&*!|>'\"#%@`?,<~\\0\u2028\ud800\x00"), max_size=60))
    def test_text_that_is_nearly_yaml_is_read_or_refused(self, text: str) -> None:
        document, findings = parse(FILE, text)
        assert document is not None or findings
        assert all(finding.location.line >= 1 and finding.location.column >= 1 for finding in findings)

    @given(st.binary(max_size=200))
    def test_any_bytes_are_read_or_refused(self, tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
        path = tmp_path_factory.getbasetemp() / "any.yaml"
        path.write_bytes(content)
        document, findings = read(path.parent, path)
        assert document is not None or findings
