"""The twin from outside: `python -m tests.lab --help`."""

from __future__ import annotations

import platform
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from .bench.parts import Part
from .host import machine, native, running, trees, workspace
from .host.errors import LabError
from .host.job import RESULTS, Job

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
_STAGE, _RESULTS = workspace.STAGE, f"/{RESULTS}"
_UNUSABLE, _INTERRUPTED = 2, 130
_PYTEST = ("python3", "-m", "pytest", "-c", "tests/lab/pytest.ini")


class Proofs(StrEnum):
    """Which proofs to run."""

    QUICK = "quick"
    ALL = "all"
    NONE = "none"


class Where(StrEnum):
    """What the twin runs on."""

    AUTO = "auto"
    VIRTUAL = "virtual"
    NATIVE = "native"


class Accelerator(StrEnum):
    """How QEMU runs the virtual machine's processors."""

    TCG = "tcg"
    KVM = "kvm"


Name = Annotated[str, typer.Argument(metavar="[NAME]", help="A cluster of this repository.")]
Machine = Annotated[Where, typer.Option("--machine", help="A virtual machine, or this machine's own kernel.")]
Report = Annotated[Path, typer.Option("--report", metavar="DIR", help="Where the report and the logs go.")]
Memory = Annotated[int, typer.Option("--memory", min=1024, help="MiB of the virtual machine.")]
Limit = Annotated[float, typer.Option("--limit", min=1, help="Seconds until the run is interrupted.")]
Accelerated = Annotated[
    Accelerator, typer.Option("--accelerator", help="kvm is faster than software, where Debian's kernel runs on it.")
]

EXAMPLE = "iceland-gcp"
_MEMORY = machine.Settings().memory
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="The twin: a cluster's rendered manifests on real strongSwan and FRR, with everything around them simulated.",
)


@app.command()
def run(
    name: Name = EXAMPLE,
    proofs: Annotated[Proofs, typer.Option("--proofs", help="none: the twin only comes up.")] = Proofs.QUICK,
    expression: Annotated[str, typer.Option("-k", metavar="EXPR", help="Only proofs that match, as in pytest.")] = "",
    report: Report = CACHE / "lab",
    where: Machine = Where.AUTO,
    memory: Memory = _MEMORY,
    accelerator: Accelerated = Accelerator.TCG,
    limit: Limit = 3600,
) -> None:
    """Bring a cluster's tunnels up, and prove what the project promises."""
    command = (*_PYTEST, *(("-m", "quick") if proofs is Proofs.QUICK else ()))
    command += ("-k", expression) if expression else ()
    if proofs is Proofs.NONE:
        command = _up("true")
    settings = machine.Settings(memory=memory, accelerator=accelerator)
    _finish(_run(name, command, where, settings, limit, report=report))


@app.command()
def bench(
    name: Name = EXAMPLE,
    only: Annotated[list[Part] | None, typer.Option("--only", help="May be repeated; default: everything.")] = None,
    routes: Annotated[int, typer.Option("--routes", min=1, help="The most that a site announces.")] = 10_000,
    report: Report = CACHE / "lab-bench",
    where: Machine = Where.AUTO,
    memory: Memory = _MEMORY,
    accelerator: Accelerated = Accelerator.TCG,
    limit: Limit = 7200,
) -> None:
    """Measure outages, the route agent and throughput, beside a baseline's in the same twin."""
    chosen = (f"--only={part}" for part in only or ())
    command = ("python3", "-m", "tests.lab.bench", _STAGE, _RESULTS, f"--routes={routes}", *chosen)
    settings = machine.Settings(memory=memory, accelerator=accelerator)
    _finish(_run(name, command, where, settings, limit, report=report))


@app.command()
def shell(
    name: Name = EXAMPLE,
    where: Machine = Where.AUTO,
    memory: Memory = _MEMORY,
    accelerator: Accelerated = Accelerator.TCG,
) -> None:
    """Bring a cluster's twin up, and open a shell beside it; the twin ends with the shell."""
    settings = machine.Settings(memory=memory, accelerator=accelerator)
    _finish(_run(name, _up("bash"), where, settings, limit=float("inf"), interactive=True))


@app.command("exec")
def execute(
    command: Annotated[list[str], typer.Argument(metavar="COMMAND...", help="After `--`.")],
    name: Annotated[str, typer.Option("--cluster", help="A cluster of this repository.")] = EXAMPLE,
    bare: Annotated[bool, typer.Option("--bare", help="Only the machine: the twin does not come up.")] = False,
    where: Machine = Where.AUTO,
    memory: Memory = _MEMORY,
    accelerator: Accelerated = Accelerator.TCG,
    limit: Limit = 600,
) -> None:
    """Run a command beside a cluster's twin, and give its exit code."""
    settings = machine.Settings(memory=memory, accelerator=accelerator)
    _finish(_run(name, tuple(command) if bare else _up(*command), where, settings, limit))


@app.command()
def tree() -> None:
    """Make the machine's tree from Debian packages, where it is missing or old."""
    try:
        trees.prepare(CACHE)
    except LabError as error:
        _give_up(error)


def _up(*command: str) -> tuple[str, ...]:
    return ("python3", "-m", "tests.lab.guest", _STAGE, f"{_RESULTS}/logs", *command)


def _run(
    name: str,
    command: tuple[str, ...],
    where: Where,
    settings: machine.Settings,
    limit: float,
    *,
    report: Path | None = None,
    interactive: bool = False,
) -> int:
    try:
        with running.stopped_as_interrupt():
            there = trees.prepare(CACHE)
            with workspace.filled(ROOT, name, there.lab) as folder:
                if report is not None:
                    _clear(report)
                job = Job(command, folder, report, limit, interactive)
                if _native(where, there):
                    return native.run(job, there.lab, there.image)
                return machine.run(job, there.kernel, trees.disk(there), settings)
    except LabError as error:
        _give_up(error)
    except KeyboardInterrupt:
        raise typer.Exit(_INTERRUPTED) from None


def _native(where: Where, there: trees.Trees) -> bool:
    """Whether to run on this machine's own kernel, and says why. Raises LabError where that was asked but cannot be."""
    ours, debians = platform.release().split("-")[0], there.kernel.name.removeprefix("vmlinuz-").split("+")[0]
    lacking = None if where is Where.VIRTUAL else native.missing(there.lab)
    if where is Where.NATIVE and lacking:
        raise LabError(f"kernel {ours} has no {lacking}, or you may not use it: run it with --machine virtual")
    if where is not Where.VIRTUAL and not lacking:
        print(f"the twin runs on this machine's kernel {ours}", file=sys.stderr)
        return True
    reason = f"kernel {ours} has no {lacking}: the" if lacking else "the"
    print(f"{reason} twin runs in a virtual machine with Debian's kernel {debians}", file=sys.stderr)
    return False


def _clear(report: Path) -> None:
    """An empty folder for the report; only what an earlier run left is removed."""
    mark = report / ".tunnelfleet-lab"
    if report.exists() and any(report.iterdir()) and not mark.exists():
        raise LabError(f"{report} holds something else; name another folder for the report")
    shutil.rmtree(report, ignore_errors=True)
    report.mkdir(parents=True)
    mark.touch()


def _give_up(error: LabError) -> NoReturn:
    print(f"lab: {error}", file=sys.stderr)
    raise typer.Exit(_UNUSABLE)


def _finish(code: int) -> None:
    raise typer.Exit(code)


if __name__ == "__main__":
    app(prog_name="python -m tests.lab")
