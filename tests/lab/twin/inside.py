"""Commands inside a container, for probes and hooks: one shell does what would cost `runc exec` half a second each."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# `jobs` buries the children that have ended
_LOOP = 'set -f; while IFS= read -r line; do jobs > /dev/null; eval "$line"; done'
# so that a probe never takes the time of what it asks
_NICE = 5


@dataclass(frozen=True, slots=True)
class Completed:
    """What became of a command; -9 where it took longer than allowed."""

    returncode: int
    output: str


class Gone(Exception):
    """The container has ended, or no command can be started in it: neither success nor failure."""


def request(number: int, argv: Sequence[str], timeout: float, *, nice: bool) -> str:
    """The line that asks the shell for a command; it answers `number code output`, in one line."""
    command = shlex.join(
        (*(("nice", "-n", str(_NICE)) if nice else ()), "timeout", "-s", "KILL", f"{timeout:g}", *argv)
    )
    answer = f"""set -- {number} $? $out; printf '%.900s\\n' "$*" """
    return f"( out=$({command} 2>&1 < /dev/null); {answer}) &\n"


class Shell:
    """A shell in a container, with its user, capabilities, filter and limits; started when it is first needed."""

    def __init__(self, runc_exec: Sequence[str], container: str, pid_file: Path) -> None:
        self._command = (*runc_exec, "--detach", "--pid-file", str(pid_file), container, "/bin/sh", "-c", _LOOP)
        self._pid_file = pid_file
        self._starting = asyncio.Lock()
        self._writer: int | None = None
        self._answers: dict[int, asyncio.Future[Completed]] = {}
        self._number = 0
        self._reading: asyncio.Task[None] | None = None

    async def run(self, argv: Sequence[str], timeout: float, *, nice: bool = False) -> Completed:
        """Runs a command; what it printed comes back as one line. Raises Gone."""
        async with self._starting:
            writer = await self._start() if self._writer is None else self._writer
        self._number += 1
        number = self._number
        answer: asyncio.Future[Completed] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            os.write(writer, request(number, argv, timeout, nice=nice).encode())
            return await answer
        except OSError as error:
            raise Gone(str(error)) from error
        finally:
            self._answers.pop(number, None)

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

    async def _read(self, descriptor: int) -> None:
        reader = asyncio.StreamReader()
        with open(descriptor, "rb", buffering=0) as pipe:
            await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
            while line := await reader.readline():
                number, code, *words = line.decode(errors="replace").split()
                if (answer := self._answers.get(int(number))) and not answer.done():
                    answer.set_result(Completed(-9 if code == "137" else int(code), " ".join(words)))
