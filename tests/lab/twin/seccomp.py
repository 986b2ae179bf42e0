"""The seccomp filter RuntimeDefault: what containerd's default refuses on x86-64, and which capability lifts it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

_EPERM, _ENOSYS = 1, 38
# what no capability allows
_NEVER = (
    *("add_key", "keyctl", "request_key", "kexec_load", "kexec_file_load", "swapon", "swapoff", "pivot_root"),
    *("userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "uselib", "ustat", "sysfs", "_sysctl"),
    *("migrate_pages", "move_pages", "nfsservctl"),
)
_BY_CAPABILITY = {
    "CAP_SYS_ADMIN": (
        *(
            "bpf",
            "fanotify_init",
            "fsconfig",
            "fsmount",
            "fsopen",
            "fspick",
            "lookup_dcookie",
            "mount",
            "mount_setattr",
        ),
        *("move_mount", "open_tree", "perf_event_open", "quotactl", "quotactl_fd", "setdomainname", "sethostname"),
        *("setns", "umount2", "unshare"),
    ),
    "CAP_DAC_READ_SEARCH": ("open_by_handle_at",),
    "CAP_SYS_BOOT": ("reboot",),
    "CAP_SYS_CHROOT": ("chroot",),
    "CAP_SYS_MODULE": ("delete_module", "init_module", "finit_module"),
    "CAP_SYS_NICE": ("get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"),
    "CAP_SYS_PACCT": ("acct",),
    "CAP_SYS_PTRACE": ("kcmp", "pidfd_getfd"),
    "CAP_SYS_RAWIO": ("iopl", "ioperm"),
    "CAP_SYS_TIME": ("settimeofday", "clock_settime"),
    "CAP_SYS_TTY_CONFIG": ("vhangup",),
}
# CLONE_NEW… of clone(2): time, mount, cgroup, uts, ipc, user, pid, network
_NAMESPACES = (0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)


def runtime_default(capabilities: Collection[str]) -> dict[str, Any]:
    """The filter as the runtime-spec has it (linux.seccomp).

    It names what is refused and lets the rest pass, where containerd names what passes: the same for every system
    call that Linux 6.12 has. Where a newer one is added, containerd refuses it and this filter does not.
    """
    refused = list(_NEVER)
    for capability, calls in _BY_CAPABILITY.items():
        if capability not in capabilities:
            refused += calls
    rules: list[dict[str, Any]] = [_refuse(refused)]
    if "CAP_SYS_ADMIN" not in capabilities:
        rules += [_refuse(["clone"], flag) for flag in _NAMESPACES]
        # its flags are behind a pointer; programs fall back to clone
        rules.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS})
    return {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": rules}


def _refuse(names: list[str], flag: int | None = None) -> dict[str, Any]:
    rule: dict[str, Any] = {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": _EPERM}
    if flag is not None:
        rule["args"] = [{"index": 0, "value": flag, "valueTwo": flag, "op": "SCMP_CMP_MASKED_EQ"}]
    return rule
