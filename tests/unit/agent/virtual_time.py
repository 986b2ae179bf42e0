"""An event loop whose clock stands still until it is told to go on: sockets are real, waiting is not."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any

_GRACE = 0.001
"""Real seconds given to the kernel to deliver what was sent, before the clock jumps as far as _FAR seconds."""
_FAR = 1.0


class Selector(selectors.BaseSelector):
    """Never waits for time: where nothing is ready, the clock jumps to the next timer, or the loop stops."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.now = 0.0
        self.end = 0.0
        self.loop: asyncio.AbstractEventLoop | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        is_far = timeout is None or timeout >= _FAR or self.now + timeout > self.end
        if ready := self._real.select(_GRACE if is_far else 0):
            return ready
        if timeout is None or self.now + timeout > self.end:
            self.now = self.end
            if self.loop and timeout != 0:
                self.loop.stop()
        else:
            self.now += timeout
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """`advance` lets seconds pass in no time."""

    def __init__(self) -> None:
        self.clock = Selector()
        super().__init__(self.clock)
        self.clock.loop = self

    def time(self) -> float:
        return self.clock.now

    def monotonic(self) -> float:
        """In the place of time.monotonic."""
        return self.clock.now

    def advance(self, seconds: float) -> None:
        """Runs until nothing is left to do before that time."""
        self.clock.end = self.clock.now + seconds
        self.run_forever()
