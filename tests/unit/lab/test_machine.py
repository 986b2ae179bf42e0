"""Running a job on the virtual machine, with a script in QEMU's place."""

from __future__ import annotations

import io
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.host import machine, native, running
from tests.lab.host.errors import LabError
from tests.lab.host.job import Job, colours, script
from tests.lab.host.machine import Settings, command, hardware

linux = pytest.mark.skipif(shutil.which("setpriv") is None, reason="NOT TESTED: needs setpriv of util-linux")

QEMU = """
import os, pathlib, subprocess, sys, time
files = dict(word.split(",", 1)[1].removeprefix("id=").split(",path=") for word in sys.argv if word.startswith("file,"))
status, log, results = (pathlib.Path(files[name]) for name in ("status", "log", "results"))
disk = pathlib.Path(sys.argv[sys.argv.index("-initrd") + 1])
"""
BOOTS = """
status.write_text("started\\n")
while disk.exists(): time.sleep(0.01)
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """A fake QEMU on the PATH, a small disk, a folder for the job, and where temporary files go."""

    folder: Path
    scratch: Path

    def qemu(self, code: str) -> None:
        program = self.folder / "bin" / hardware("x86_64").program
        source = program.with_suffix(".py")
        source.write_text(QEMU + code)
        # the first line of a script cannot name a program whose path has a space
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{source}" "$@"\n')

    def run(self, *words: str, seconds: float = 60, output: io.BytesIO | None = None) -> int:
        job = Job(words or ("true",), self.folder / "work", self.folder / "results", seconds)
        return machine.run(job, self.folder / "vmlinuz", self.folder / "base", Settings(), output or io.BytesIO())


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    for name in ("bin", "work", "tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "base").write_bytes(b"the trees")
    program = tmp_path / "bin" / "qemu-system-x86_64"
    program.touch(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return Bench(tmp_path, tmp_path / "tmp")


@linux
def test_the_jobs_exit_code_and_output_come_out_and_nothing_stays(bench: Bench) -> None:
    bench.qemu(BOOTS + 'print("hello", flush=True); status.write_text("started\\nended 3\\n")')
    output = io.BytesIO()

    assert bench.run(output=output) == 3
    assert output.getvalue() == b"hello\n"
    assert list(bench.scratch.iterdir()) == []


@linux
def test_output_comes_while_the_job_runs(bench: Bench) -> None:
    bench.qemu(BOOTS + 'print("first", flush=True); time.sleep(60)')
    seen = threading.Event()

    class Screen(io.BytesIO):
        def write(self, data: object) -> int:
            seen.set()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.run(output=Screen())
    assert seen.is_set()


@linux
def test_results_come_out_with_the_kernels_log(bench: Bench) -> None:
    bench.qemu(
        BOOTS + 'folder = status.parent / "out"; folder.mkdir(); (folder / "report.html").write_text("well")\n'
        'log.write_text("Linux"); subprocess.run(["tar", "-cf", results, "-C", folder, "."], check=True)\n'
        'status.write_text("started\\nended 0\\n")'
    )

    assert bench.run() == 0
    assert (bench.folder / "results/report.html").read_text() == "well"
    assert (bench.folder / "results/console.log").read_text() == "Linux"


@linux
def test_the_disk_is_the_shared_one_followed_by_the_jobs_files(bench: Bench) -> None:
    (bench.folder / "work/stage.json").write_text("{}")
    bench.qemu('print(disk.read_bytes()); status.write_text("started\\nended 0\\n")')
    output = io.BytesIO()

    bench.run("echo", "it's", output=output)

    assert output.getvalue().startswith(b"b'the trees070701") or output.getvalue().startswith(b'b"the trees070701')
    for content in (b"work/stage.json", b"init\\x00", b"60 echo"):
        assert content in output.getvalue()


@linux
def test_a_guest_that_panics_is_an_error_with_the_end_of_its_log(bench: Bench) -> None:
    bench.qemu(BOOTS + 'log.write_text("Kernel panic - not syncing: no memory\\n")')

    with pytest.raises(LabError, match=r"ended while the job ran; the end of its log:\n  Kernel panic - not syncing"):
        bench.run()


@linux
def test_what_qemu_complains_of_is_shown(bench: Bench) -> None:
    bench.qemu('sys.exit("qemu-system-x86_64: cannot set up guest memory")')

    with pytest.raises(LabError, match=r"ended before it started; the end of its log:\n.*cannot set up guest memory"):
        bench.run()


@linux
def test_a_guest_that_never_starts_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "BOOT_SECONDS", 0.1)
    bench.qemu("time.sleep(60)")

    with pytest.raises(LabError, match=r"did not start within 0\.1 s"):
        bench.run()
    assert list(bench.scratch.iterdir()) == []


@linux
def test_a_machine_that_hangs_is_switched_off(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "GRACE", 0.25)
    bench.qemu(BOOTS + "time.sleep(60)")

    with pytest.raises(LabError, match=r"not done within 0\.75 s"):
        bench.run(seconds=0.5)
    assert list(bench.scratch.iterdir()) == []


@linux
@pytest.mark.parametrize(("code", "reason"), [(124, "not done within 60 s"), (137, "was killed: its 60 s were over")])
def test_what_a_job_that_is_out_of_time_left_comes_out(bench: Bench, code: int, reason: str) -> None:
    bench.qemu(f'{BOOTS}log.write_text("Linux"); status.write_text("started\\nended {code}\\n")')

    with pytest.raises(LabError, match=rf"{reason}.*; what it left is in .*/results"):
        bench.run()
    assert (bench.folder / "results/console.log").exists()


def test_a_job_is_interrupted_when_its_time_is_over() -> None:
    text = script(
        Job(("sh", "-c", "trap 'echo ending; exit' INT; while :; do sleep 0.1; done"), Path("w"), seconds=0.2)
    )

    text = text.replace("cd /work", ":")
    done = subprocess.run(["sh"], input=text, check=False, capture_output=True, text=True, timeout=30)

    assert (done.returncode, done.stdout) == (124, "ending\n")


@linux
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_machine_and_removes_its_files(bench: Bench, number: signal.Signals) -> None:
    pid = bench.folder / "pid"
    bench.qemu(
        BOOTS + f"pathlib.Path({str(pid)!r}).write_text(str(os.getpid())); print('up', flush=True); time.sleep(60)"
    )

    class Screen(io.BytesIO):
        def write(self, data: object) -> int:
            os.kill(os.getpid(), number)
            return 0

    with pytest.raises(KeyboardInterrupt), running.stopped_as_interrupt():
        bench.run(output=Screen())
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert list(bench.scratch.iterdir()) == []


@linux
def test_the_machine_ends_when_whoever_started_it_is_killed(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = (
        "import subprocess; from tests.lab.host import running; "
        f"running.run(['sh', '-c', 'echo $$ > {pid}; exec sleep 60'], lambda: None, interactive=False, output=None, "
        "errors=None)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    _wait(lambda: pid.exists() and pid.read_text().strip() != "")

    parent.kill()
    parent.wait()

    _wait(lambda: not _runs(int(pid.read_text())))


def test_a_machine_without_qemu_names_debians_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(LabError, match="apt-get install qemu-system-arm"):
        hardware("aarch64")


def test_another_processor_is_refused_by_name() -> None:
    with pytest.raises(LabError, match="this machine is s390x"):
        hardware("s390x")


@pytest.mark.parametrize(("interactive", "words"), [(True, 1), (False, 0)])
def test_the_guest_is_told_whether_a_person_is_there(bench: Bench, interactive: bool, words: int) -> None:
    argv = command(hardware("x86_64"), Settings(memory=2048), Path("k"), Path("f"), interactive=interactive)

    assert argv[argv.index("-append") + 1].split().count("lab.interactive") == words
    assert argv[argv.index("-m") + 1] == "2048"


def test_the_jobs_words_reach_the_guest_as_they_are() -> None:
    text = script(Job(("sh", "-c", "echo '$HOME' \"x\""), Path("w"), environment={"NAME": "a b"}))

    done = subprocess.run(["sh"], input=text.replace("cd /work", ":"), capture_output=True, text=True, check=True)

    assert done.stdout == "$HOME x\n"
    assert "export NAME='a b'" in text


@pytest.mark.parametrize(
    ("terminal", "environment", "coloured"),
    [(True, {}, True), (False, {}, False), (True, {"NO_COLOR": "1"}, False)],
)
def test_colours_are_for_terminals(terminal: bool, environment: dict[str, str], coloured: bool) -> None:
    assert ("FORCE_COLOR" in colours(terminal, environment)) is coloured


def test_a_kernel_that_lacks_something_is_found_out_by_trying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unshare = tmp_path / "unshare"
    unshare.write_text('#!/bin/sh\ncase "$*" in *"type xfrm"*) exit 2;; esac\n')
    unshare.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    assert native.missing(Path("/")) == "XFRM interfaces"


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _wait(condition: object, seconds: float = 20) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not so within {seconds} s"
        time.sleep(0.02)
