"""The command line. Exit codes: 0 all is well; 1 policies failed or drift was found; 2 it cannot be done."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, NoReturn

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from tunnelfleet import __version__
from tunnelfleet.create import import_chart, new
from tunnelfleet.edges import UNUSABLE, Root, Unusable, errors, output, repository, selection
from tunnelfleet.findings import has_errors

app = typer.Typer(
    name="tunnelfleet",
    help="Highly available IPsec tunnels for a fleet of Kubernetes clusters.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FAILED = 1
TRACEBACK = "TUNNELFLEET_TRACEBACK"


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"


Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Clusters; default: all.")]

app.command("new")(new)
app.command("import-chart")(import_chart)


@app.command()
def check(
    names: Names = None,
    shape: Annotated[Format, typer.Option("--format", help="How findings are printed.")] = Format.TEXT,
    changed_since: Annotated[
        str | None,
        typer.Option(metavar="REV", help="Render only the clusters that differ from this Git revision."),
    ] = None,
    root: Root = None,
) -> None:
    """Run every policy: over the inventory, the fleet, the rendered manifests and the tree."""
    from tunnelfleet import checking
    from tunnelfleet.changes import changed_clusters
    from tunnelfleet.manifests.kustomize import find_kustomize
    from tunnelfleet.report import github, json, sarif, text

    place = repository(root)
    folders = selection(place, names)
    selected: set[str] | None = set(folders) if names else None
    if changed_since is not None:
        changed = changed_clusters(place, changed_since)
        if changed is not None:
            selected = changed & set(folders)
    count = len(folders) if selected is None else len(selected)
    with _progress(count, "checking") as step:
        report = checking.check(place, find_kustomize(), selected, step)
    findings = report.concerning(set(names)) if names else report.findings
    if shape is Format.JSON:
        sys.stdout.write(json.render(findings, len(report.inspections)))
    elif shape is Format.GITHUB:
        sys.stdout.write(github.render(findings))
    elif shape is Format.SARIF:
        sys.stdout.write(sarif.render(findings))
    else:
        console = output()
        text.show(console, place, findings)
        console.print(text.table(report))
        console.print(text.summary(report, findings))
    if has_errors(findings):
        raise typer.Exit(FAILED)


@app.command()
def generate(
    names: Names = None,
    check_only: Annotated[bool, typer.Option("--check", help="Write nothing; fail where the tree differs.")] = False,
    root: Root = None,
) -> None:
    """Write the overlays and Flux objects that the inventories ask for."""
    from tunnelfleet import generating
    from tunnelfleet.report import text

    place = repository(root)
    folders = selection(place, names)
    console = output()
    failed = unusable = False
    for outcome in generating.generate_all(place, folders, everything=not names, write=not check_only):
        text.show(console, place, outcome.findings)
        unusable = unusable or bool(outcome.findings)
        for difference in outcome.differences:
            verb = difference.drift.value if check_only else generating.DONE[difference.drift]
            console.print(Text(f"{verb}: {difference.path}"), soft_wrap=True)
        failed = failed or (check_only and bool(outcome.differences))
    if unusable:
        raise typer.Exit(UNUSABLE)
    if failed:
        console.print("The tree differs from the inventory: run `tunnelfleet generate`.")
        raise typer.Exit(FAILED)


@app.command()
def render(name: Annotated[str, typer.Argument(help="The cluster.")], root: Root = None) -> None:
    """Print what kustomize builds from a cluster's overlay."""
    from tunnelfleet.generate.files import OVERLAYS
    from tunnelfleet.manifests.kustomize import KustomizeFailed, find_kustomize

    place = repository(root)
    selection(place, [name])
    try:
        built = find_kustomize().build(place / OVERLAYS / name)
    except KustomizeFailed as error:
        raise Unusable(str(error), f"run `tunnelfleet generate {name}`") from error
    sys.stdout.buffer.write(built)


@app.command()
def explain(policy: Annotated[str, typer.Argument(help="Name of the policy.")]) -> None:
    """Say what a policy asks and why, with an example that fails it and one that passes."""
    from tunnelfleet.policies.registry import policies
    from tunnelfleet.report import explanation

    known = {one.name: one for one in policies()}
    if policy not in known:
        import difflib

        close = difflib.get_close_matches(policy, known, n=1)
        hint = f"did you mean {close[0]}?" if close else "the policies are: " + ", ".join(known)
        raise Unusable(f"no policy {policy}", hint)
    sys.stdout.write(explanation.render(known[policy]))


@app.command("list")
def list_clusters(root: Root = None) -> None:
    """Print the fleet as a table."""
    from tunnelfleet.inventory.loading import load

    place = repository(root)
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("CLUSTER", "GATEWAYS", "REMOTE", "PROFILE", "TUNNELS", "ANNOUNCED", "WAVE"):
        shown.add_column(title, overflow="fold")
    unread = []
    for folder in selection(place, None):
        reading = load(place, folder)
        if reading.loaded is None:
            unread.append(folder)
            continue
        spec = reading.loaded.cluster.spec
        first = (folder, ", ".join(gateway.name for gateway in spec.gateways))
        last = (", ".join(str(cidr) for cidr in spec.announced), str(spec.flux.wave))
        for number, remote in enumerate(sorted(spec.remotes, key=lambda remote: remote.name)):
            ahead, behind = (first, last) if number == 0 else (("", ""), ("", ""))
            cells = (*ahead, remote.name, remote.profile, str(len(remote.tunnels)), *behind)
            shown.add_row(*(Text(cell) for cell in cells))
    output().print(shown)
    if unread:
        raise Unusable(f"cannot be read: {', '.join(unread)}", "run `tunnelfleet check` to see why")


@app.command()
def reference(
    check_only: Annotated[bool, typer.Option("--check", help="Write nothing; fail where one is stale.")] = False,
    root: Root = None,
) -> None:
    """Write the schema of cluster.yaml and the reference pages of docs/ from the code."""
    from tunnelfleet import reference as pages

    place = repository(root)
    stale = pages.stale(place, app)
    for path in stale:
        output().print(Text(f"{'stale' if check_only else 'written'}: {path}"))
    if check_only:
        if stale:
            raise typer.Exit(FAILED)
        return
    pages.write(place, app)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"tunnelfleet {__version__}\n")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


@contextmanager
def _progress(total: int, what: str) -> Iterator[Callable[[object], None]]:
    """A progress bar on a terminal, nothing elsewhere."""
    console = errors()
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda _: progress.advance(task)


def _fail(message: str, hint: str) -> NoReturn:
    console = errors()
    console.print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)
    if hint:
        console.print(Text.assemble(("  fix: ", "green"), hint), soft_wrap=True)
    raise SystemExit(UNUSABLE)


def main() -> None:
    """The entry of the console script: no exception reaches a person as a traceback."""
    from tunnelfleet.changes import GitFailed
    from tunnelfleet.manifests.kustomize import KustomizeNotFound

    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            # Closed by whoever started this: what is said goes nowhere.
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for the whole run
            os.dup2(getattr(sys, name).fileno(), number)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except Unusable as error:
        _fail(str(error), error.hint)
    except (GitFailed, KustomizeNotFound) as error:
        _fail(str(error), "")
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(UNUSABLE) from None
    except KeyboardInterrupt:
        _fail("interrupted", "nothing was left half-written")
    except OSError as error:
        _fail(f"{error.filename or 'a file'}: {error.strerror or error}", "check the path and its permissions")
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        _fail(f"a defect of tunnelfleet: {error!r}", f"report it with what {TRACEBACK}=1 prints")
