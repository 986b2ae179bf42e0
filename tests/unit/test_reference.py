"""The reference: a schema that guides an editor, and pages that say all that the code says."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import jsonschema_rs
import pytest
import typer
import yaml

from tests.support.fleets import cluster
from tunnelfleet import reference
from tunnelfleet.cli import app
from tunnelfleet.findings import Severity
from tunnelfleet.generate.files import MARK
from tunnelfleet.inventory.model import Overrides
from tunnelfleet.policies.registry import Policy, Scope
from tunnelfleet.profiles import PROFILES

ROOT = Path(__file__).parents[2]
PAGES = reference.generated(app)
SCHEMA = reference.cluster_schema()
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)
SAMPLE = cluster(0)


def objects() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every mapping with keys of its own in the schema, with its name."""
    yield "cluster", SCHEMA
    yield from SCHEMA["$defs"].items()


PROPERTIES = {f"{name}.{key}": one for name, part in objects() for key, one in part["properties"].items()}
each_property = pytest.mark.parametrize("path", PROPERTIES)


def alternatives(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The schema, or what it offers a choice of; of a list, what it holds."""
    if "anyOf" in schema:
        return [one for part in schema["anyOf"] if part.get("type") != "null" for one in alternatives(part)]
    return alternatives(schema["items"]) if schema.get("type") == "array" else [schema]


class TestFiles:
    @pytest.mark.parametrize("path", PAGES)
    def test_the_repository_holds_what_the_code_gives(self, path: str) -> None:
        place = ROOT / path
        assert place.is_file(), f"{path} is missing: run make reference"
        assert place.read_text() == PAGES[path], f"{path} is stale: run make reference"

    @pytest.mark.parametrize("path", PAGES)
    def test_each_says_what_it_comes_from(self, path: str) -> None:
        head = PAGES[path][:512]
        assert MARK in head
        assert "make reference" in head

    @pytest.mark.parametrize("path", PAGES)
    def test_each_ends_with_one_line_break_and_has_no_trailing_blanks(self, path: str) -> None:
        assert PAGES[path].endswith("\n")
        assert not PAGES[path].endswith("\n\n")
        assert not re.search(r"[ \t]+$", PAGES[path], re.MULTILINE)

    def test_the_same_code_gives_the_same_bytes(self) -> None:
        assert reference.generated(app) == PAGES

    def test_writing_makes_nothing_stale(self, tmp_path: Path) -> None:
        assert reference.stale(tmp_path, app) == list(PAGES)
        assert reference.write(tmp_path, app) == list(PAGES)
        assert reference.stale(tmp_path, app) == []

    def test_only_what_is_stale_is_written(self, tmp_path: Path) -> None:
        reference.write(tmp_path, app)
        (tmp_path / reference.PROFILE_PAGE).write_text("edited by hand\n")
        before = (tmp_path / reference.SCHEMA).stat().st_mtime_ns
        assert reference.stale(tmp_path, app) == [reference.PROFILE_PAGE]
        assert reference.write(tmp_path, app) == [reference.PROFILE_PAGE]
        assert (tmp_path / reference.SCHEMA).stat().st_mtime_ns == before


class TestSchema:
    def test_it_is_a_schema(self) -> None:
        assert jsonschema_rs.meta.is_valid(SCHEMA)
        assert json.loads(PAGES[reference.SCHEMA]) == SCHEMA

    @each_property
    def test_every_property_is_described(self, path: str) -> None:
        assert PROPERTIES[path]["description"].strip().endswith(".")

    @pytest.mark.parametrize(("name", "part"), list(objects()), ids=[name for name, _ in objects()])
    def test_no_mapping_takes_unknown_keys(self, name: str, part: dict[str, Any]) -> None:
        assert part["additionalProperties"] is False
        assert part["description"]

    @each_property
    def test_every_value_is_guided(self, path: str) -> None:
        schema = PROPERTIES[path]
        guides = {"$ref", "const", "enum", "minimum", "pattern"}
        for one in alternatives(schema):
            shown = {"examples", "default"} & (set(one) | set(schema))
            assert guides & set(one) or shown or one["type"] == "boolean"
            assert one.get("type") != "string" or shown or {"const", "enum"} & set(one), "text needs an example"
            assert one.get("type") != "integer" or {"minimum", "maximum"} <= set(one)

    @each_property
    def test_examples_and_defaults_are_valid(self, path: str) -> None:
        schema = PROPERTIES[path]
        values = schema.get("examples", []) + ([schema["default"]] if "default" in schema else [])
        validator = jsonschema_rs.Draft202012Validator({**schema, "$defs": SCHEMA["$defs"]})
        assert all(validator.is_valid(value) for value in values)
        for one in alternatives(schema):
            assert all(jsonschema_rs.is_valid(one, value) for value in one.get("examples", []))

    @pytest.mark.parametrize("path", sorted(ROOT.glob("clusters/*/cluster.yaml")), ids=lambda one: one.parent.name)
    def test_the_example_fleet_is_valid(self, path: Path) -> None:
        VALIDATOR.validate(yaml.safe_load(path.read_text()))

    def test_a_generated_cluster_is_valid(self) -> None:
        VALIDATOR.validate(SAMPLE)

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("apiVersion", "v1"),
            ("kind", "Fleet"),
            ("metadata.name", "Upper_Case"),
            ("metadata.labels", {"wave": 1}),
            ("spec.gatways", []),
            ("spec.gateways", []),
            ("spec.gateways.0.internalIP", "172.27.48.11/20"),
            ("spec.gateways.0.publicIP", "2001:db8::1"),
            ("spec.gateways.0.node", ""),
            ("spec.localCidrs", "10.0.0.0/8"),
            ("spec.localCidrs.0", "10.0.0.0"),
            ("spec.networks.pods.0", "10.256.0.0/16"),
            ("spec.networks.pods.0", "10.0.0.0/33"),
            ("spec.nodeInterface", "an-interface-with-a-long-name"),
            ("spec.bgp.localASN", "65010"),
            ("spec.bgp.localASN", 0),
            ("spec.bgp.localASN", 4294967296),
            ("spec.remotes", []),
            ("spec.remotes.0.profile", "gcp"),
            ("spec.remotes.0.tunnels.0.presharedKey", "the key itself"),
            ("spec.remotes.0.tunnels.0.inside.cidr", "169.254.10.0"),
            ("spec.remotes.0.overrides", {"keepalive": 0}),
            ("spec.remotes.0.overrides", {"bfd": True}),
            ("spec.remotes.0.overrides", {"bfd": {"interval": 100}}),
            ("spec.remotes.0.overrides", {"ikeProposals": ["aes256gcm16"]}),
            ("spec.remotes.0.overrides", {"espProposals": ["AES-256; rm -rf"]}),
            ("spec.remotes.0.overrides", {"replayWindow": 32}),
            ("spec.flux", {"interval": "10 minutes"}),
            ("spec.flux", {"wave": -1}),
            ("spec.flux", {"suspend": "no"}),
            ("spec.cilium", {"version": 1.17}),
        ],
    )
    def test_what_is_obviously_wrong_is_refused(self, path: str, value: object) -> None:
        document = copy.deepcopy(SAMPLE)
        *parents, last = (int(key) if key.isdigit() else key for key in path.split("."))
        place: Any = document
        for key in parents:
            place = place[key]
        place[last] = value
        assert not VALIDATOR.is_valid(document)

    @pytest.mark.parametrize("key", ["networks", "localCidrs", "gateways", "bgp", "remotes"])
    def test_what_is_missing_is_refused(self, key: str) -> None:
        document = copy.deepcopy(SAMPLE)
        del document["spec"][key]
        assert not VALIDATOR.is_valid(document)


class TestInventoryPage:
    PAGE = PAGES[reference.INVENTORY]

    @each_property
    def test_every_key_has_a_row(self, path: str) -> None:
        assert f"| `{path.rpartition('.')[2]}` | " in self.PAGE

    def test_links_lead_to_headings(self) -> None:
        headings = re.findall(r"^## (.*)$", self.PAGE, re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert set(re.findall(r"\(#([^)]*)\)", self.PAGE)) == anchors

    def test_placeholders_are_not_taken_for_html(self) -> None:
        assert "clusters/&lt;name>/secrets/" in self.PAGE


class TestProfilesPage:
    PAGE = PAGES[reference.PROFILE_PAGE]

    def test_every_value_has_a_row(self) -> None:
        fields = {one.name for profile in PROFILES.values() for one in dataclasses.fields(profile)}
        assert set(reference.PROFILE_ROWS) == fields - {"name", "title", "sources"} | {"mss"}

    def test_every_source_is_printed(self) -> None:
        printed = self.PAGE.replace("\\|", "|")
        assert all(source in printed for one in PROFILES.values() for source in one.sources.values())

    def test_every_override_is_named(self) -> None:
        assert all(f"| `{one.alias}` |" in self.PAGE for one in Overrides.model_fields.values())

    def test_the_example_of_overriding_is_valid(self) -> None:
        (remote,) = yaml.safe_load(reference.OVERRIDING)["spec"]["remotes"]
        overrides = Overrides.model_validate(remote["overrides"])
        assert overrides.model_dump(exclude_none=True, by_alias=True) == remote["overrides"]

    def test_its_link_to_the_overrides_leads_there(self) -> None:
        assert "(inventory.md#specremotesoverrides)" in self.PAGE
        assert "## `spec.remotes[].overrides`\n" in PAGES[reference.INVENTORY]


class TestPoliciesPage:
    def test_a_policy_is_told_with_both_examples(self) -> None:
        policy = Policy(
            name="no-loops",
            scope=Scope.FLEET,
            severity=Severity.WARNING,
            asks="clusters/<name> has no | loop.",
            why="It turns round.",
            failing="loop: true\n",
            passing="loop: false\n",
            check=None,
        )
        page = reference.policies_page([policy])
        assert "| [`no-loops`](#no-loops) | warning | clusters/&lt;name> has no \\| loop. |" in page
        assert "## The fleet\n" in page
        assert "### no-loops\n\nclusters/&lt;name> has no | loop.\n\nWhy: It turns round.\n" in page
        assert "Fails:\n\n```yaml\nloop: true\n```\n\nPasses:\n\n```yaml\nloop: false\n```\n" in page
        assert "## One cluster" not in page


class TestCommandsPage:
    def test_a_command_is_told_with_arguments_and_options(self) -> None:
        small = typer.Typer(name="fleet", help="Does it all.")

        @small.command()
        def move(
            cluster: Annotated[str, typer.Argument(help="What moves.")],
            to: Annotated[list[str] | None, typer.Argument(help="Where to.")] = None,
            wave: Annotated[int, typer.Option(metavar="N", help="When.")] = 3,
        ) -> None:
            """Move a cluster."""

        @small.command()
        def rest() -> None:
            """Do nothing."""

        page = reference.commands_page(small)
        assert "Does it all." in page
        assert "## move\n\nMove a cluster.\n\n```\nfleet move CLUSTER [TO]... [OPTIONS]\n```\n" in page
        assert "| `CLUSTER` | What moves. |\n| `[TO]...` | Where to. |\n| `--wave N` | When. [default: 3] |" in page
        assert page.endswith("## rest\n\nDo nothing.\n\n```\nfleet rest\n```\n")

    def test_every_command_of_tunnelfleet_is_there(self) -> None:
        commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
        assert all(f"\n## {name}\n" in PAGES[reference.COMMANDS] for name in commands)
