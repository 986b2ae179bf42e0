"""The reference: the schema of cluster.yaml and the pages of docs/ that are written from the code.

Each page is a pure function of what it describes; the same code always gives the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tunnelfleet.generate.files import MARK, Files
from tunnelfleet.inventory.model import Bfd, Cluster, Overrides, alias
from tunnelfleet.profiles import PROFILES, RESERVED_INSIDE, AsRange, Profile

if TYPE_CHECKING:
    import typer

    from tunnelfleet.policies.registry import Policy

Schema = dict[str, Any]

SCHEMA = "schemas/cluster.schema.json"
INVENTORY = "docs/inventory.md"
PROFILE_PAGE = "docs/profiles.md"
POLICIES = "docs/policies.md"
COMMANDS = "docs/commands.md"


def generated(app: typer.Typer) -> Files:
    """Every file of the reference: path from the repository's root -> content."""
    from tunnelfleet.policies.registry import policies

    return {
        SCHEMA: cluster_schema_text(),
        INVENTORY: inventory_page(cluster_schema()),
        PROFILE_PAGE: profiles_page(tuple(PROFILES.values())),
        POLICIES: policies_page(policies()),
        COMMANDS: commands_page(app),
    }


def stale(root: Path, app: typer.Typer) -> list[str]:
    """The paths of the reference whose files are missing or not what the code gives."""
    return _stale(root, generated(app))


def write(root: Path, app: typer.Typer) -> list[str]:
    """Writes what is stale and returns its paths; raises OSError where that cannot be done."""
    pages = generated(app)
    paths = _stale(root, pages)
    for path in paths:
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(pages[path].encode())
    return paths


def _stale(root: Path, pages: Files) -> list[str]:
    return [path for path, text in pages.items() if _present(root / path) != text.encode()]


def _present(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _origin(source: str) -> str:
    return f"{MARK} from {source}: do not edit. Change that and run `make reference`."


def _page(source: str, title: str, *blocks: str) -> str:
    return "\n\n".join((f"<!-- {_origin(source)} -->", f"# {title}", *blocks)) + "\n"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _code(text: object) -> str:
    return f"`{text}`"


def _prose(text: str) -> str:
    """Text of the code as Markdown on one line: <name> is no HTML, but for what stands in backticks."""
    parts = " ".join(text.split()).split("`")
    return "`".join(part if i % 2 else part.replace("<", "&lt;") for i, part in enumerate(parts))


def _yaml(text: str) -> str:
    return f"```yaml\n{text.strip()}\n```"


# The schema of cluster.yaml


def cluster_schema() -> Schema:
    """The JSON schema (draft 2020-12) of cluster.yaml, every property described."""
    raw = Cluster.model_json_schema()
    untidy = raw.pop("$defs")
    definitions = {name: _tidy(untidy[name], untidy) for name in sorted(untidy)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": _origin("scripts/tunnelfleet/inventory/model.py"),
        "title": "cluster.yaml of tunnelfleet",
        **_tidy(raw, definitions),
        "$defs": definitions,
    }


def cluster_schema_text() -> str:
    """The same as a file."""
    return json.dumps(cluster_schema(), indent=2) + "\n"


def _tidy(schema: Mapping[str, Any], definitions: Mapping[str, Schema]) -> Schema:
    """Without titles made up from names and without null defaults; a reference says what it refers to."""
    tidy: Schema = {}
    for key, value in schema.items():
        if key == "properties":
            tidy[key] = {name: _tidy(one, definitions) for name, one in value.items()}
        elif key == "anyOf":
            tidy[key] = [_tidy(one, definitions) for one in value]
        elif isinstance(value, dict) and key in ("items", "additionalProperties"):
            tidy[key] = _tidy(value, definitions)
        elif key == "default" and isinstance(value, dict):
            tidy[key] = {name: one for name, one in value.items() if one is not None}
        elif key != "title" and not (key == "default" and value is None):
            tidy[key] = value
    if "$ref" in tidy:
        tidy.setdefault("description", definitions[_referred(tidy)]["description"])
    return tidy


def _referred(schema: Mapping[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


# docs/inventory.md


def inventory_page(schema: Schema) -> str:
    """Every key of cluster.yaml: type, default and meaning."""
    places = _places(schema)
    anchors = {name: _slug(_heading(paths)) for name, paths in places.items()}
    intro = (
        "Every key of `clusters/<name>/cluster.yaml`. An editor that reads the `yaml-language-server` line "
        f"completes them from [{SCHEMA}](../{SCHEMA}). IPv4 only; unknown and duplicate keys are refused."
    )
    blocks = [intro, _keys(schema, anchors)]
    for name, paths in places.items():
        definition = schema["$defs"][name]
        blocks += [f"## {_heading(paths)}", _prose(definition["description"]), _keys(definition, anchors)]
    return _page("scripts/tunnelfleet/inventory/model.py", "cluster.yaml", *blocks)


def _places(schema: Schema) -> dict[str, list[str]]:
    """Where each definition is used: its name -> paths of keys, in the order of the file."""
    places: dict[str, list[str]] = {}

    def visit(part: Schema, prefix: str) -> None:
        for key, one in part["properties"].items():
            for name, suffix in _definitions_of(one):
                path = f"{prefix}{key}{suffix}"
                places.setdefault(name, []).append(path)
                visit(schema["$defs"][name], f"{path}.")

    visit(schema, "")
    return places


def _definitions_of(schema: Schema) -> Iterator[tuple[str, str]]:
    if "$ref" in schema:
        yield _referred(schema), ""
    for one in schema.get("anyOf", ()):
        yield from _definitions_of(one)
    if isinstance(schema.get("items"), dict):
        yield from ((name, f"[]{suffix}") for name, suffix in _definitions_of(schema["items"]))


def _heading(paths: list[str]) -> str:
    return ", ".join(map(_code, paths))


def _slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _keys(schema: Schema, anchors: Mapping[str, str]) -> str:
    required = schema.get("required", ())
    rows = []
    for key, one in schema["properties"].items():
        default = _code(_flow(one["default"])) if "default" in one else "none"
        needed = "required" if key in required else default
        rows.append((_code(key), _kind(one, anchors), needed, _prose(one["description"])))
    return _table(("Key", "Type", "Default", "Meaning"), rows)


def _flow(value: Any) -> str:
    """A value in YAML's flow style, on one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000)
    return text.removesuffix("\n").removesuffix("\n...")


def _kind(schema: Schema, anchors: Mapping[str, str]) -> str:
    """What a value may be, in words."""
    if "$ref" in schema:
        return f"[mapping](#{anchors[_referred(schema)]})"
    if "anyOf" in schema:
        return " or ".join(_kind(one, anchors) for one in schema["anyOf"] if one.get("type") != "null")
    if "const" in schema:
        return _code(_flow(schema["const"]))
    if "enum" in schema:
        return " or ".join(map(_code, schema["enum"]))
    kind = schema["type"]
    if kind == "array":
        least = f", at least {schema['minItems']}" if schema.get("minItems", 1) > 1 else ""
        items = schema["items"] | ({"examples": schema["examples"][0]} if "examples" in schema else {})
        return f"list of {_kind(items, anchors)}{least}"
    if kind == "integer":
        return f"number, {_bounds(schema)}"
    if kind == "object":
        return "mapping of text to text"
    like = f", like {_code(schema['examples'][0])}" if "examples" in schema else ""
    return f"{ {'string': 'text', 'boolean': 'true or false'}[kind] }{like}"


def _bounds(schema: Schema) -> str:
    step = f", a multiple of {schema['multipleOf']}" if "multipleOf" in schema else ""
    return f"{schema['minimum']} to {schema['maximum']}{step}"


# docs/profiles.md

PROFILE_ROWS = {
    "ike_proposals": "IKE proposals",
    "esp_proposals": "ESP proposals",
    "ike_lifetime": "IKE SA lives, s",
    "esp_lifetime": "CHILD SA lives, s",
    "dpd_delay": "DPD after silence of, s",
    "replay_window": "Anti-replay window, packets",
    "initiator": "Starts IKE",
    "keepalive": "BGP keepalive, s",
    "hold": "BGP hold time, s",
    "bfd": "BFD",
    "maximum_prefixes": "Limit of prefixes taken",
    "maximum_advertised": "Limit of prefixes announced",
    "inside_allowed": "Inside ranges allowed",
    "inside_refused": "Inside ranges refused",
    "remote_asns": "The site's AS",
    "local_asns_refused": "Our AS must not be",
    "mtu": "MTU in the tunnel, bytes",
    "mss": "TCP MSS, bytes (MTU less 40)",
    "key_pattern": "Pre-shared key matches",
}
"""What a profile's values are called in docs/profiles.md, in the order of the table."""

OVERRIDING = """
spec:
  remotes:
    - name: oslo
      profile: generic
      overrides:
        bfd: false              # its router does not speak it,
        keepalive: 10           # so slower timers will do
        hold: 30
        espLifetime: 7200
        mtu: 1438               # the whole path carries 1500 bytes
"""
"""The example of overriding."""


def profiles_page(profiles: Sequence[Profile]) -> str:
    """The profiles side by side, where each value comes from, and how to override one."""
    names = [_code(profile.name) for profile in profiles]
    values = [
        (label, *(_value(getattr(profile, row)) for profile in profiles), _override_key(row))
        for row, label in PROFILE_ROWS.items()
    ]
    blocks = [
        "A remote's `profile` says what kind of VPN gateway the site runs and gives every value that its "
        "kind needs. Two sites of one kind differ by `overrides`.",
        _table(("", *names, "Override"), values),
        "Starts IKE: `local` is the gateway, `remote` the site. "
        f"No site may use {' or '.join(map(_code, RESERVED_INSIDE))} inside tunnels: every node does itself.",
        "## Overriding",
        f"Any value with a key in the last column can be changed for one remote; "
        f"[inventory.md](inventory.md#{_slug('spec.remotes[].overrides')}) says what each key takes.",
        _yaml(OVERRIDING),
        "The others are rules of the site that the policies check. Where a site has other rules, take the "
        "profile `generic`, which has almost none, and override what its gateway expects.",
        "## Sources",
        "Read in November 2026. What begins with “our own choice” is not asked for by the other side, or not "
        "documented.",
    ]
    for profile in profiles:
        sources = [(label, profile.sources[row]) for row, label in PROFILE_ROWS.items() if row != "mss"]
        blocks += [f"### {_code(profile.name)}: {profile.title}", _table(("", "Source"), sources)]
    return _page("scripts/tunnelfleet/profiles.py", "Profiles", *blocks)


def _override_key(row: str) -> str:
    return _code(alias(row)) if row in Overrides.model_fields else ""


def _value(value: Any) -> str:
    """A profile's value in a cell."""
    if value is None or value == ():
        return "none"
    if isinstance(value, Bfd):
        return f"{value.interval} ms x {value.multiplier}"
    if isinstance(value, tuple):
        return "<br>".join(_value(one) for one in value)
    if isinstance(value, int):
        return f"{value:,}"
    return str(value) if isinstance(value, AsRange) else _code(value)


# docs/policies.md


def policies_page(policies: Sequence[Policy]) -> str:
    """What each policy asks and why, with what fails and what passes it."""
    titles = {
        "reading": "Reading",
        "cluster": "One cluster",
        "fleet": "The fleet",
        "rendered": "The rendered manifests",
        "tree": "The tree",
    }
    blocks = [
        "What `tunnelfleet check` asks of a change. `tunnelfleet explain POLICY` prints the same on the terminal.",
    ]
    for scope, title in titles.items():
        chosen = [one for one in policies if one.scope.value == scope]
        if not chosen:
            continue
        rows = [(f"[{_code(one.name)}](#{_slug(one.name)})", one.severity.value, _prose(one.asks)) for one in chosen]
        blocks += [f"## {title}", _table(("Policy", "Severity", "Asks"), rows)]
        for one in chosen:
            blocks += [f"### {one.name}", _prose(one.asks), f"Why: {_prose(one.why)}"]
            blocks += ["Fails:", _yaml(one.failing), "Passes:", _yaml(one.passing)]
    return _page("scripts/tunnelfleet/policies", "Policies", *blocks)


# docs/commands.md


def commands_page(app: typer.Typer) -> str:
    """Every command with its arguments and options."""
    import typer as command_line

    group = command_line.main.get_command(app)
    blocks = [_prose(group.help or "")]
    for name, command in getattr(group, "commands", {}).items():
        context = command_line.Context(command, info_name=name, color=False)
        arguments = [one for one in command.params if one.param_type_name == "argument"]
        options = [one.get_help_record(context) for one in command.params if one not in arguments]
        rows = [(_code(_argument(one)), _prose(one.help or "")) for one in arguments]
        rows += [(_code(usage), _prose(meaning)) for usage, meaning in filter(None, options)]
        usage = " ".join((group.name or "", name, *map(_argument, arguments), *(["[OPTIONS]"] if options else [])))
        blocks += [f"## {name}", _prose(command.help or ""), f"```\n{usage}\n```"]
        blocks += [_table(("Argument or option", "Meaning"), rows)] if rows else []
    return _page("scripts/tunnelfleet/cli.py", "Commands", *blocks)


def _argument(parameter: Any) -> str:
    """An argument as usage lines write it: `NAME`, `[NAME]` where it may be left out, `...` for several."""
    name = str(parameter.metavar or parameter.name.upper())
    if "[" in name:
        return name
    return (name if parameter.required else f"[{name}]") + ("..." if parameter.nargs == -1 else "")
