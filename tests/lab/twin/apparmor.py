"""AppArmor's profile RuntimeDefault, as containerd loads it where the kernel has AppArmor (apparmor.d(5))."""

from __future__ import annotations

from pathlib import Path

from .shell import run

_SECURITY = Path("/sys/kernel/security")
_NAME = "cri-containerd.apparmor.d"
# Capabilities and the network are the container's own affair. Nothing is mounted, and of the kernel's settings only
# those of shared memory are changed.
_PROFILE = f"""
profile {_NAME} flags=(attach_disconnected,mediate_deleted) {{
  network,
  capability,
  file,
  umount,
  signal (receive) peer=unconfined,
  signal (send,receive) peer={_NAME},
  ptrace (trace,read,tracedby,readby) peer={_NAME},

  deny mount,
  deny /proc/* w,
  deny /proc/{{[^1-9s]**,s[^ey]**}} w,
  deny /proc/sys/[^k]** w,
  deny /proc/sys/kernel/{{[^s]**,s[^h]**}} w,
  deny /proc/{{sysrq-trigger,kcore}} rwklx,
  deny /sys/[^f]*/** wklx,
  deny /sys/f[^s]*/** wklx,
  deny /sys/fs/[^c]*/** wklx,
  deny /sys/{{firmware,kernel/security,devices/virtual/powercap}}/** rwklx,
}}
"""


def profile() -> str:
    """The profile's name, loaded; empty where the kernel has no AppArmor."""
    if not (_SECURITY / "apparmor").exists() and _SECURITY.exists():
        run(("mount", "-t", "securityfs", "securityfs", str(_SECURITY)), check=False)
    loaded = _SECURITY / "apparmor" / "profiles"
    if not loaded.exists():
        return ""
    if _NAME not in loaded.read_text(encoding="utf-8"):
        run(("apparmor_parser", "--replace", "--skip-cache"), text=_PROFILE)
    return _NAME
