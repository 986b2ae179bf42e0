"""kubelet's rules for restarts and probes, without the doing (its prober/worker.go, client-go's backoff.go)."""

from __future__ import annotations

from dataclasses import dataclass

from .podspec import Probe

_LONGEST = 30
_FORGOTTEN = 60


class Backoff:
    """How long a container that has ended waits: not at all, then the base, doubled each time up to 30 times it.

    With kubelet's base of 10 s that is 0, 10, 20, 40 … 300 s, and from the start again after 10 minutes of quiet.
    """

    def __init__(self, base: float) -> None:
        self._base = base
        self._delay = 0.0
        self._last = float("-inf")

    def next(self, now: float) -> float:
        """The wait in seconds of a container that ended at `now`."""
        if now - self._last > _FORGOTTEN * self._base:
            self._delay = 0.0
        wait = self._delay
        self._delay = min(max(self._base, self._delay * 2), _LONGEST * self._base)
        # kubelet counts from the restart
        self._last = now + wait
        return wait


@dataclass(slots=True)
class Verdict:
    """What a probe says after the results so far; it changes at the thresholds."""

    probe: Probe
    good: bool
    """At first a container lives, but is neither started nor ready."""
    run: int = 0
    last: bool | None = None

    def add(self, success: bool) -> bool:
        """Takes one more result; says whether a threshold was reached, which sets `good`."""
        self.run = self.run + 1 if success == self.last else 1
        self.last = success
        if self.run < (self.probe.successes if success else self.probe.failures):
            return False
        self.good = success
        return True


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the twin's kubelets go, against real ones; a machine that emulates its processor is 10 times slower."""

    backoff: float = 10.0
    """Seconds before the second restart in a row."""
    probes: float = 1.0
    """Factor on the periods and timeouts of probes. In the virtual machine one takes half a processor second."""
