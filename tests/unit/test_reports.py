"""What a person, a program and a code host are told about the same findings."""

from __future__ import annotations

import io
import json
from pathlib import Path

import jsonschema_rs
import pytest
from rich.console import Console

from tests.support.fleets import REPOSITORY
from tunnelfleet.findings import Finding, Location, Severity
from tunnelfleet.report import github, sarif, text
from tunnelfleet.report import json as json_report

FILE = "clusters/north/cluster.yaml"
FINDING = Finding(
    "cidr-host-bits",
    Severity.ERROR,
    "north",
    Location(FILE, 2, 14, 25),
    "10.0.0.1/16 has host bits, 100% wrong",
    "write 10.0.0.0/16",
    (Location(FILE, 1, 1, 4),),
)
BARE = Finding("inventory-valid", Severity.WARNING, None, Location("clusters/ö,:/cluster.yaml"), "odd\nthing")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "clusters/north").mkdir(parents=True)
    (tmp_path / FILE).write_text("abc: 1\nlocalCidrs: [10.0.0.1/16]\n")
    return tmp_path


def shown(repository: Path, finding: Finding) -> str:
    console = Console(file=io.StringIO(), width=200, highlight=False)
    text.show(console, repository, [finding])
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_person_sees_the_line_a_caret_under_the_value_and_the_fix(repository: Path) -> None:
    assert shown(repository, FINDING) == (
        f"{FILE}:2:14: error [cidr-host-bits] 10.0.0.1/16 has host bits, 100% wrong\n"
        "  2 | localCidrs: [10.0.0.1/16]\n"
        "    |              ^^^^^^^^^^^\n"
        f"  also at {FILE}:1:1\n"
        "  1 | abc: 1\n"
        "    | ^^^\n"
        "  fix: write 10.0.0.0/16\n\n"
    )


def test_control_characters_of_the_inventory_do_not_reach_the_terminal(repository: Path) -> None:
    (repository / FILE).write_text("x: 1\n\x1b]0;owned\x07[red]: [10.0.0.1/16]\n")
    output = shown(repository, FINDING)
    assert "\x1b" not in output
    assert "\ufffd]0;owned\ufffd[red]" in output


def test_a_line_of_any_length_is_shown_around_the_value(repository: Path) -> None:
    (repository / FILE).write_text("x: 1\n" + "y" * 5000 + "10.0.0.1/16" + "z" * 5000 + "\n")
    place = Location(FILE, 2, 5001, 5012)
    lines = shown(repository, Finding("cidr-host-bits", Severity.ERROR, "north", place, "m")).splitlines()
    start = lines[2].index("^")
    assert lines[1][start : start + 11] == "10.0.0.1/16"
    assert max(map(len, lines)) < 200


def test_a_program_gets_one_object(repository: Path) -> None:
    data = json.loads(json_report.render([FINDING, BARE], 7))
    assert data["clusters"] == 7
    assert data["findings"][0] == {
        "policy": "cidr-host-bits",
        "severity": "error",
        "cluster": "north",
        "file": FILE,
        "line": 2,
        "column": 14,
        "message": FINDING.message,
        "hint": FINDING.hint,
        "related": [{"file": FILE, "line": 1, "column": 1}],
    }


def test_github_gets_an_escaped_command_a_finding() -> None:
    assert github.render([FINDING, BARE]) == (
        f"::error file={FILE},line=2,col=14,title=cidr-host-bits,endColumn=25"
        "::10.0.0.1/16 has host bits, 100%25 wrong%0Awrite 10.0.0.0/16\n"
        "::warning file=clusters/ö%2C%3A/cluster.yaml,line=1,col=1,title=inventory-valid::odd%0Athing\n"
    )


def test_sarif_is_valid_and_names_rule_place_and_fix() -> None:
    log = json.loads(sarif.render([FINDING, BARE]))
    schema = json.loads((REPOSITORY / "schemas/sarif-2.1.0.json").read_text())
    jsonschema_rs.validator_for(schema).validate(log)
    run = log["runs"][0]
    first = run["results"][0]
    assert run["tool"]["driver"]["rules"][first["ruleIndex"]]["id"] == "cidr-host-bits"
    assert first["locations"][0]["physicalLocation"]["region"] == {
        "startLine": 2,
        "startColumn": 14,
        "endColumn": 25,
    }
    assert first["message"]["text"].endswith("Fix: write 10.0.0.0/16")
    assert run["results"][1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].isascii()
