"""docs/twin.md: its commands are such as make and the CLI take, and what it lists is there. None of it is run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess

import pytest
from typer.main import get_command

from tests.lab.__main__ import app
from tests.lab.host.machine import _HARDWARE
from tests.lab.report.text import text
from tests.support.fleets import REPOSITORY
from tests.unit.lab import samples
from tunnelfleet.profiles import PROFILES

pytestmark = pytest.mark.examples
PAGE = (REPOSITORY / "docs/twin.md").read_text()
README = (REPOSITORY / "README.md").read_text()
BLOCKS = "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)).replace("\\\n", "")
COMMANDS = [argv for line in BLOCKS.splitlines() if (argv := shlex.split(line.rstrip(" &"), comments=True))]
LAB = get_command(app)
_HANDED_DOWN = ("MAKEFLAGS", "MAKEOVERRIDES", "ARGS", "CLUSTER", "PROOFS")


def taken(*arguments: str) -> dict[str, object]:
    """What the CLI makes of its arguments, without doing it. Raises click.UsageError for what it does not know."""
    context = LAB.make_context("lab", [arguments[0]])
    subcommand = LAB.get_command(context, arguments[0])  # type: ignore[attr-defined]
    assert subcommand is not None, arguments
    return dict(subcommand.make_context(arguments[0], list(arguments[1:]), parent=context).params)


def by_make(*arguments: str) -> list[str]:
    """The arguments that `make` calls the CLI with."""
    argv = ["make", "--dry-run", "--no-print-directory", *arguments]
    # `make test ARGS=...` hands its variables to every make below it
    environment = {name: value for name, value in os.environ.items() if name not in _HANDED_DOWN}
    shown = subprocess.run(argv, cwd=REPOSITORY, check=True, capture_output=True, text=True, env=environment).stdout
    called = [line for line in shown.splitlines() if "-m tests.lab" in line]
    words = shlex.split(called[-1])
    return words[words.index("tests.lab") + 1 :]


@pytest.mark.parametrize("argv", [argv[2:] for argv in COMMANDS if argv[:2] == ["sudo", "make"]], ids=shlex.join)
def test_the_cli_takes_what_make_hands_on(argv: list[str]) -> None:
    cluster = taken(*by_make(*argv))["name"]

    assert (REPOSITORY / "clusters" / str(cluster)).is_dir()


@pytest.mark.parametrize("argv", [argv for argv in COMMANDS if "tests.lab" in argv], ids=shlex.join)
def test_the_cli_takes_its_own_commands(argv: list[str]) -> None:
    assert taken(*argv[argv.index("tests.lab") + 1 :])["command"]


def test_options_in_the_text_are_those_of_a_run() -> None:
    run = LAB.get_command(LAB.make_context("lab", ["run"]), "run")  # type: ignore[attr-defined]
    known = {option for parameter in run.params for option in parameter.opts} | {"--help"}
    text = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)

    named = set(re.findall(r"`[^`]*?(--[a-z][a-z-]*)[^`]*`", text))

    assert named
    assert named <= known


def test_every_profile_is_described() -> None:
    assert set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)) >= set(PROFILES)


def test_the_packages_are_those_that_are_asked_for() -> None:
    assert all(kind.package in PAGE for kind in _HARDWARE.values())


def test_files_are_where_it_says() -> None:
    for path in re.findall(r"`((?:tests|base|images)/[\w./]*)`", PAGE):
        assert (REPOSITORY / path).exists(), path


def test_the_readme_shows_outages_as_a_report_does() -> None:
    def heads(page: str) -> list[str]:
        return [" ".join(line.split()) for line in page.splitlines() if line.split()[:2] == ["direction", "outage"]]

    assert heads(README) == heads(text(samples.REPORT))
