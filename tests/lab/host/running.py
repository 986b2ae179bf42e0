"""A program that runs the job: its output as it comes, its end in time, and nothing left when a person stops it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import IO, BinaryIO

_POLL_SECONDS = 0.2


def run(
    argv: Sequence[str],
    watch: Callable[[], None],
    *,
    interactive: bool,
    output: BinaryIO | None,
    errors: IO[bytes] | int | None,
) -> int:
    """Runs the program, and gives its exit code.

    What it prints goes to `output` (default: standard output) at once, what it complains of to `errors`. `watch` is
    called a few times a second. The program is killed when `watch` raises an error, and when this process is
    interrupted or dies.
    """
    with _terminal(interactive):
        process = subprocess.Popen(
            ("setpriv", "--pdeathsig", "KILL", *argv),
            stdin=None if interactive else subprocess.DEVNULL,
            stdout=None if interactive else subprocess.PIPE,
            stderr=errors,
            start_new_session=not interactive,
        )
        try:
            for _ in _waits(process) if interactive else _output(process, output or sys.stdout.buffer):
                watch()
            return process.wait()
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _waits(process: subprocess.Popen[bytes]) -> Iterator[None]:
    while process.poll() is None:
        yield
        time.sleep(_POLL_SECONDS)


def _output(process: subprocess.Popen[bytes], output: BinaryIO) -> Iterator[None]:
    assert process.stdout is not None
    stream = process.stdout.fileno()
    while True:
        yield
        if not select.select([stream], [], [], _POLL_SECONDS)[0]:
            continue
        data = os.read(stream, 1 << 16)
        if not data:
            return
        output.write(data)
        output.flush()


@contextlib.contextmanager
def stopped_as_interrupt() -> Iterator[None]:
    """In the block SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does, so that everything is cleaned up."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _terminal(interactive: bool) -> Iterator[None]:
    """Gives the terminal back as it was: QEMU makes it raw and non-blocking."""
    if not interactive or not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)
        os.set_blocking(sys.stdin.fileno(), True)
        os.set_blocking(sys.stdout.fileno(), True)
