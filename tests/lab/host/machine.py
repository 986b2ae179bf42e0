"""The virtual machine that the twin lives on where the kernel cannot: QEMU with Debian's kernel, all in memory."""

from __future__ import annotations

import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from . import initramfs, running
from .errors import LabError
from .job import GRACE, RESULTS, SCRIPT, WORKSPACE, Job, checked, script

INIT = Path(__file__).with_name("init")
BOOT_SECONDS = 120.0
"""Until the guest must have started its first process; 10 s where nothing else runs."""
_LOG_LINES = 25


@dataclass(frozen=True, slots=True)
class Hardware:
    """What QEMU makes of one kind of processor."""

    program: str
    package: str
    """Debian package of the program."""
    serial: str
    board: str
    emulated: str
    """Processor where it is emulated."""


# cx16 crashes the guest in software emulation; emulated AVX is slower than none.
_HARDWARE = {
    "x86_64": Hardware("qemu-system-x86_64", "qemu-system-x86", "ttyS0", "pc", "max,-cx16,-avx,-avx2"),
    "aarch64": Hardware("qemu-system-aarch64", "qemu-system-arm", "ttyAMA0", "virt", "max"),
}


# Programs draw on a terminal, so only a person's shell gets one. A port whose input has ended takes no output.
_TERMINAL = ("-chardev", "stdio,id=output,signal=off", "-device", "virtconsole,chardev=output,nr=0")
_PIPE = ("-chardev", "file,id=output,path=/dev/stdout", "-device", "virtserialport,chardev=output,nr=3")


@dataclass(frozen=True, slots=True)
class Settings:
    """How much of this machine the virtual one gets."""

    processors: int = 2
    memory: int = 3072
    """MiB."""
    accelerator: str = "tcg"
    """tcg (software) or kvm."""


def hardware(machine: str | None = None) -> Hardware:
    """What there is for this processor. Raises LabError where there is nothing, or no QEMU."""
    name = machine or platform.machine()
    if name not in _HARDWARE:
        raise LabError(f"this machine is {name}; the twin's virtual machine is for {' or '.join(_HARDWARE)}")
    found = _HARDWARE[name]
    if shutil.which(found.program) is None:
        raise LabError(f"{found.program} is not installed: apt-get install {found.package} (Debian, Ubuntu)")
    return found


def command(kind: Hardware, settings: Settings, kernel: Path, folder: Path, *, interactive: bool) -> list[str]:
    """The command line of qemu-system(1); `folder` holds the RAM disk and gets what the ports say."""
    # removing namespaces, which waits for RCU, is most of what ends a node
    fast = "mitigations=off cryptomgr.notests rcupdate.rcu_expedited=1"
    arguments = f"console={kind.serial} panic=-1 quiet {fast} rdinit=/init"
    emulated = settings.accelerator == "tcg"
    return [
        *(kind.program, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-machine", kind.board, "-cpu", kind.emulated if emulated else "host"),
        *("-accel", "tcg,thread=multi" if emulated else settings.accelerator),
        *("-smp", str(settings.processors), "-m", str(settings.memory)),
        *("-kernel", str(kernel), "-initrd", str(folder / "initrd")),
        *("-append", f"{arguments} lab.interactive" if interactive else arguments),
        *("-chardev", f"file,id=log,path={folder / 'console.log'}", "-serial", "chardev:log"),
        *("-device", "virtio-serial-pci"),
        *(_TERMINAL if interactive else _PIPE),
        *("-chardev", f"file,id=status,path={folder / 'status'}", "-device", "virtserialport,chardev=status,nr=1"),
        *("-chardev", f"file,id=results,path={folder / 'results.tar'}"),
        *("-device", "virtserialport,chardev=results,nr=2"),
    ]


def run(job: Job, kernel: Path, base: Path, settings: Settings, output: BinaryIO | None = None) -> int:
    """Runs the job on a machine of its own and gives its exit code.

    Its output comes as it is printed, on `output` (default: standard output). `base` is the RAM disk that all jobs
    share. An interrupt switches the machine off; nothing is left behind. Raises LabError where the machine does
    not start, panics, or is not done in time.
    """
    kind = hardware()
    with tempfile.TemporaryDirectory(prefix="tunnelfleet-lab.") as scratch:
        folder = Path(scratch)
        (folder / "status").touch()
        _write_disk(folder / "initrd", base, job)
        argv = command(kind, settings, kernel, folder, interactive=job.interactive)
        watch = _watch(job, folder)
        with (folder / "qemu.log").open("wb") as errors:
            running.run(argv, watch, interactive=job.interactive, output=output, errors=errors)
        if job.results is not None:
            _unpack(folder, job.results)
        return checked(_exit_code(folder), job)


def _watch(job: Job, folder: Path) -> Callable[[], None]:
    """Raises LabError when the machine has not started, or the job has not ended, in time."""
    began = time.monotonic()
    disk = folder / "initrd"

    def watch() -> None:
        seconds = time.monotonic() - began
        if (folder / "status").stat().st_size:
            disk.unlink(missing_ok=True)
        elif seconds > BOOT_SECONDS:
            raise LabError(f"the virtual machine did not start within {BOOT_SECONDS:g} s{_said(folder)}")
        if seconds > job.seconds + GRACE:
            raise LabError(f"the virtual machine was not done within {job.seconds + GRACE:g} s{_said(folder)}")

    return watch


def _write_disk(target: Path, base: Path, job: Job) -> None:
    shutil.copyfile(base, target)
    with target.open("ab") as disk:
        initramfs.write(disk, _entries(job))


def _entries(job: Job) -> Iterator[initramfs.Entry]:
    yield initramfs.file("init", INIT.read_bytes(), 0o755)
    yield initramfs.file(SCRIPT, script(job).encode(), 0o755)
    yield initramfs.folder(RESULTS)
    yield initramfs.folder(WORKSPACE)
    yield from initramfs.walk(job.workspace, WORKSPACE)


def _exit_code(folder: Path) -> int:
    words = (folder / "status").read_text().split()
    if "ended" in words:
        return int(words[words.index("ended") + 1])
    when = "while the job ran" if "started" in words else "before it started"
    raise LabError(f"the virtual machine ended {when}{_said(folder)}")


def _said(folder: Path) -> str:
    """The end of what the kernel and QEMU said, for an error."""
    texts = [
        path.read_text(errors="replace") for path in (folder / "console.log", folder / "qemu.log") if path.exists()
    ]
    lines = "".join(texts).replace("\r", "").splitlines()
    return "; the end of its log:\n" + "\n".join(f"  {line}" for line in lines[-_LOG_LINES:]) if lines else ""


def _unpack(folder: Path, results: Path) -> None:
    results.mkdir(parents=True, exist_ok=True)
    for log in ("console.log", "qemu.log"):
        if (folder / log).exists() and (folder / log).stat().st_size:
            shutil.copyfile(folder / log, results / log)
    archive = folder / "results.tar"
    if not archive.exists() or not archive.stat().st_size:
        return
    argv = ["tar", "--extract", "--no-same-owner", f"--file={archive}", f"--directory={results}"]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise LabError(f"the results did not come out whole: {done.stderr.strip()}")
