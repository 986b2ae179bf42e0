"""Commands inside a container, for probes and hooks: one shell does what would cost `runc exec` half a second each."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# `jobs` buries the children that have ended
LOOP = 'set -f; while IFS= read -r line; do jobs > /dev/null; eval "$line"; done; wait'
# of probes, so that they never take the time of what they ask
_NICE = 5


@dataclass(frozen=True, slots=True)
class Completed:
    """What became of a command; -9 where it took longer than allowed, and was killed."""

    returncode: int
    output: str


class Gone(Exception):
    """The container has ended, or no command can be started in it: neither success nor failure."""


def request(number: int, argv: Sequence[str], *, nice: bool) -> str:
    """The line that asks the shell for a command; it answers `number pid PID`, and at the end `number CODE output`."""
    argv = ("nice", "-n", str(_NICE), *argv) if nice else argv
    answer = f"""set -- {number} $? $out; printf '%.900s\\n' "$*" """
    return f"( out=$({shlex.join(argv)} 2>&1 < /dev/null); {answer}) & echo {number} pid $!\n"


class Shell:
    """A shell in a container, with its user, capabilities, filter and limits; started when it is first needed."""

    def __init__(self, runc_exec: Sequence[str], container: str, pid_file: Path) -> None:
        self._command = (*runc_exec, "--detach", "--pid-file", str(pid_file), container, "/bin/sh", "-c", LOOP)
        self._pid_file = pid_file
        self._starting = asyncio.Lock()
        self._writer: int | None = None
        self._answers: dict[int, asyncio.Future[Completed]] = {}
        self._pids: dict[int, int] = {}
        self._number = 0
        self._reading: asyncio.Task[None] | None = None

    async def run(self, argv: Sequence[str], timeout: float, *, nice: bool) -> Completed:
        """Runs a command; what it printed comes back as one line. Raises Gone."""
        async with self._starting:
            writer = await self._start() if self._writer is None else self._writer
        self._number += 1
        number = self._number
        answer: asyncio.Future[Completed] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            os.write(writer, request(number, argv, nice=nice).encode())
            return await asyncio.wait_for(answer, timeout)
        except TimeoutError:
            return Completed(-9, "")
        except OSError as error:
            raise Gone(str(error)) from error
        finally:
            if not answer.done() or answer.cancelled():
                self._kill(number)
            self._answers.pop(number, None)
            self._pids.pop(number, None)

    async def settle(self) -> None:
        """Waits until nothing of a shell is left whose container has ended."""
        async with self._starting:
            if self._reading is not None:
                await self._reading

    async def _start(self) -> int:
        reads, writes = os.pipe()
        answers, prints = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=reads, stdout=prints, stderr=subprocess.DEVNULL, start_new_session=True
            )
            if (returned := await process.wait()) != 0:
                os.close(writes)
                os.close(answers)
                raise Gone(f"runc exec: exit {returned}")
        finally:
            os.close(reads)
            os.close(prints)
        loop = asyncio.get_running_loop()
        pid = int(self._pid_file.read_text())
        descriptor = os.pidfd_open(pid)
        loop.add_reader(descriptor, self._ended, descriptor, pid, writes)
        self._reading = loop.create_task(self._read(answers))
        self._writer = writes
        return writes

    def _ended(self, descriptor: int, pid: int, writer: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        # its container's first process cannot end before
        os.waitpid(pid, 0)
        os.close(writer)
        self._writer = None
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Gone("the container has ended"))

    def _kill(self, number: int) -> None:
        """Ends a command with all that it started."""
        if self._writer is None or number not in self._pids:
            return
        for child in _children(int(self._pid_file.read_text())):
            if _inner_pid(child) == self._pids[number]:
                _kill_tree(child)

    async def _read(self, descriptor: int) -> None:
        reader = asyncio.StreamReader()
        with open(descriptor, "rb", buffering=0) as pipe:
            await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
            while line := await reader.readline():
                number, code, *words = line.decode(errors="replace").split()
                if code == "pid":
                    self._pids[int(number)] = int(words[0])
                elif (answer := self._answers.get(int(number))) and not answer.done():
                    answer.set_result(Completed(int(code), " ".join(words)))


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _inner_pid(pid: int) -> int | None:
    """The process's number in its own namespace (proc_pid_status(5), NSpid)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    return next(int(line.split()[-1]) for line in status.splitlines() if line.startswith("NSpid:"))


def _kill_tree(pid: int) -> None:
    children = _children(pid)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    for child in children:
        _kill_tree(child)
