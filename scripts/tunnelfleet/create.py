"""The commands that write a new cluster.yaml: from answers, or from the values of the Helm chart."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from tunnelfleet.edges import Root, Unusable, errors, output, repository
from tunnelfleet.inventory.fields import LABEL_PATTERN
from tunnelfleet.inventory.loading import CLUSTERS, INVENTORY

Several = list[str] | None
One = str | None


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the cluster.")],
    nodes: Annotated[Several, typer.Option(help="Range of the nodes' addresses.")] = None,
    pods: Annotated[Several, typer.Option(help="Range of the pods' addresses.")] = None,
    services: Annotated[Several, typer.Option(help="Range of the Services' addresses.")] = None,
    gateway: Annotated[Several, typer.Option(metavar="NODE,INTERNAL,PUBLIC", help="A gateway; twice or more.")] = None,
    local_asn: Annotated[One, typer.Option(help="AS number of the cluster.")] = None,
    internal_asn: Annotated[One, typer.Option(help="AS number between the nodes.")] = None,
    remote_name: Annotated[One, typer.Option(help="Name of the remote site.")] = None,
    profile: Annotated[One, typer.Option(help="Kind of VPN gateway of the site.")] = None,
    remote_asn: Annotated[One, typer.Option(help="AS number of the site.")] = None,
    accept: Annotated[Several, typer.Option(help="Range that is taken from the site.")] = None,
    tunnel: Annotated[
        Several, typer.Option(metavar="GATEWAY,PEER,LOCAL,PEER-INSIDE", help="A tunnel; twice or more.")
    ] = None,
    namespace: Annotated[One, typer.Option(help="Namespace of the gateways.")] = None,
    node_interface: Annotated[One, typer.Option(help="The nodes' network interface.")] = None,
    cilium: Annotated[One, typer.Option(help="Minor version of Cilium.")] = None,
    root: Root = None,
) -> None:
    """Write a commented cluster.yaml, from flags or by asking on a terminal."""
    from tunnelfleet import scaffold

    place = _new_file(repository(root), name)
    flags = {
        "name": name,
        "nodes": nodes,
        "pods": pods,
        "services": services,
        "gateways": gateway,
        "local_asn": local_asn,
        "internal_asn": internal_asn,
        "remote_name": remote_name,
        "profile": profile,
        "remote_asn": remote_asn,
        "accepted": accept,
        "tunnels": tunnel,
        "namespace": namespace,
        "node_interface": node_interface,
        "cilium": cilium,
    }
    given: dict[str, str | Sequence[str]] = {key: value for key, value in flags.items() if value}
    if sys.stdin.isatty():
        _ask(given)
    answers, problems = scaffold.answers(given)
    if answers is None:
        raise Unusable("answers are missing or cannot be used:\n  " + "\n  ".join(problems), "see --help")
    _write(place, scaffold.scaffold(answers))
    output().print(Text(f"written: {place}\nNext:"), soft_wrap=True)
    for number, step in enumerate(scaffold.next_steps(answers), 1):
        output().print(Text(f"  {number}. {step}"), soft_wrap=True)


def _ask(given: dict[str, str | Sequence[str]]) -> None:
    """Asks for what no flag answered, again where an answer cannot be used."""
    from tunnelfleet.scaffold import QUESTIONS, AnswerError, Question

    def one(question: Question, prompt: str, default: str | None) -> str:
        while True:
            text = str(typer.prompt(prompt, default=default, err=True, show_default=bool(default)))
            parts = question.texts({question.key: text})
            try:
                for part in parts if text else []:
                    question.read(part)
            except AnswerError as error:
                errors().print(Text(f"  {error.message}; {error.hint}"), soft_wrap=True)
            else:
                return text

    for question in QUESTIONS:
        if question.key in given:
            continue
        if not question.several:
            given[question.key] = one(question, question.prompt, question.suggest(given))
            continue
        texts: list[str] = []
        while len(texts) < question.least or texts[-1]:
            enough = len(texts) >= question.least
            prompt = f"{question.prompt} (empty to go on)" if enough else question.prompt
            texts.append(one(question, prompt, "" if enough else None))
        given[question.key] = [text for text in texts if text]


def import_chart(
    values: Annotated[Path, typer.Argument(metavar="VALUES.yaml", help="The chart's values.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the cluster.")],
    remote_name: Annotated[One, typer.Option(help="Name of the remote site.")] = None,
    profile: Annotated[One, typer.Option(help="Kind of VPN gateway of the site.")] = None,
    public_ip: Annotated[
        Several, typer.Option(metavar="GATEWAY=ADDRESS", help="A gateway's own public address.")
    ] = None,
    accept: Annotated[Several, typer.Option(help="Range that is taken from the site.")] = None,
    namespace: Annotated[One, typer.Option(help="Namespace of the gateways.")] = None,
    keys: Annotated[
        bool, typer.Option("--keys", help="Print the Secret with the old keys instead, for `sops encrypt` to read.")
    ] = False,
    root: Root = None,
) -> None:
    """Turn the Helm chart's values into a cluster.yaml, and say what is wrong or unknown in them."""
    from tunnelfleet import chart

    options, problems = chart.import_options(remote_name, profile, public_ip or (), accept or (), namespace)
    if problems:
        raise Unusable("flags cannot be used:\n  " + "\n  ".join(problems))
    document, findings = chart.open_values(values)
    if document is None or findings:
        lines = [f"{finding.location}: {finding.message}; {finding.hint}" for finding in findings]
        raise Unusable("the values cannot be read:\n  " + "\n  ".join(lines))
    if keys:
        if sys.stdout.isatty():
            raise Unusable("the keys are not shown on a terminal", "pipe them: … --keys | sops encrypt …")
        secret = chart.keys_secret(document, name, options)
        if secret is None:
            raise Unusable(f"{values} holds no keys")
        sys.stdout.write(secret)
        return
    place = _new_file(repository(root), name)
    imported = chart.import_chart(document, name, options)
    if imported.text is not None:
        _write(place, imported.text)
    for note in imported.notes:
        shown = Text.assemble((f"{note.location}: ", "bold"), (f"{note.kind.value}: ", "yellow"), note.message)
        output().print(shown, soft_wrap=True)
        if note.hint:
            output().print(Text.assemble(("  fix: ", "green"), note.hint), soft_wrap=True)
    if imported.text is None:
        raise Unusable(f"{values} gives no cluster")
    output().print(Text(f"\nwritten: {place}\nNext: mend each `# import:` line, then tunnelfleet check {name}"))


def _new_file(root: Path, name: str) -> Path:
    if not re.fullmatch(LABEL_PATTERN, name) or len(name) > 63:
        raise Unusable(f"`{name}` cannot be a cluster's name", "use at most 63 of a-z, 0-9 and inner dashes")
    place = root / CLUSTERS / name / INVENTORY
    if place.exists() or place.is_symlink():
        raise Unusable(f"{place} is already there", "choose another name, or remove the file first")
    return place


def _write(place: Path, text: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("x", encoding="utf-8") as file:
        file.write(text)
