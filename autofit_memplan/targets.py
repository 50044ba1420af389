"""The GPUs that can be planned for without having one, as XLA's compiler wants them described."""

from __future__ import annotations

import difflib
from typing import NamedTuple

from autofit_memplan.errors import TargetError

# Figures of XLA's own target descriptions, in the units of its GpuDeviceInfoProto: bytes, bytes
# per second, GHz. "a": code for this very architecture is made, as JAX does on a live one.
_TABLE = """
target         cc    cores fpus threads shared optin  l2        bandwidth     clock  memory
v100           7.0   80    64   2048    98304  98304  6291456   898048000000  1.53   16935682048
a100-pcie-80gb 8.0   108   64   2048    167936 166912 41943040  2039000000000 1.1105 79050250240
a100-sxm-40gb  8.0   108   64   2048    167936 166912 41943040  1555200000000 1.41   42331013120
a100-sxm-80gb  8.0   108   64   2048    167936 166912 41943040  2039040000000 1.41   85100068864
a6000          8.6   84    128  1536    102400 101376 6291456   768096000000  1.8    51041271808
h100-pcie      9.0a  114   128  2048    233472 232448 52428800  2039040000000 1.755  84942979072
h100-sxm       9.0a  132   128  2048    233472 232448 52428800  3352320000000 1.98   84942979072
h200           9.0a  132   128  2048    233472 232448 52428800  4800000000000 1.98   151397597184
b200           10.0a 148   128  2048    233472 232448 132644864 7672320000000 1.965  191514411008
gb200          10.0a 152   128  2048    233472 232448 135528448 7928064000000 2.062  197897748480
rtx6000pro     12.0  188   128  1536    131072 101376 134217728 1792000000000 2.6    103079215104
"""

# By target: what JAX calls a live one, then other names that people type.
_NAMES = {
    "v100": ("Tesla V100-SXM2-16GB", "v100-16gb"),
    "a100-pcie-80gb": ("NVIDIA A100 80GB PCIe", "a100-pcie"),
    "a100-sxm-40gb": ("NVIDIA A100-SXM4-40GB", "a100-40gb"),
    "a100-sxm-80gb": ("NVIDIA A100-SXM4-80GB", "a100-80gb", "a100-sxm", "a100"),
    "a6000": ("NVIDIA RTX A6000",),
    "h100-pcie": ("NVIDIA H100 PCIe",),
    "h100-sxm": ("NVIDIA H100 80GB HBM3", "h100-80gb", "h100-sxm5", "h100"),
    "h200": ("NVIDIA H200", "h200-sxm"),
    "b200": ("NVIDIA B200",),
    "gb200": ("NVIDIA GB200",),
    "rtx6000pro": ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "rtx-pro-6000"),
}


class Target(NamedTuple):
    """One GPU that is not here.

    Attributes
    ----------
    name
        As in the table, e.g. ``"a100-sxm-80gb"``.
    device_kind
        As JAX names a live one, e.g. ``"NVIDIA A100-SXM4-80GB"``.
    aliases
        Other names that are understood.
    memory_bytes
        All of the card's memory.
    text_proto
        XLA's ``GpuTargetConfigProto`` in text format.
    """

    name: str
    device_kind: str
    aliases: tuple[str, ...]
    memory_bytes: int
    text_proto: str


def find_target(name: str) -> Target:
    """The target of that name; case, spaces, dashes and a leading "NVIDIA" do not matter.

    Raises
    ------
    TargetError
        When there is none, with the nearest names and the whole list.
    """
    known = {_plain(each): t for t in TARGETS for each in (t.name, t.device_kind, *t.aliases)}
    found = known.get(_plain(name)) if isinstance(name, str) else None
    if found:
        return found
    near = difflib.get_close_matches(_plain(str(name)), known, n=5, cutoff=0.5)
    names = list(dict.fromkeys(known[each].name for each in near))
    hint = f"Did you mean {' or '.join(names)}? " if names else ""
    listed = ", ".join(target.name for target in TARGETS)
    raise TargetError(f"target={name!r} is not a known GPU. {hint}Known are {listed}.")


def others_of_that_name(name: str) -> list[str]:
    """Targets that a short name such as ``"a100"`` could have meant, too; none for a full name."""
    meant = find_target(name)
    if _plain(name) in (_plain(meant.name), _plain(meant.device_kind)):
        return []
    return [t.name for t in TARGETS if t != meant and _plain(t.name).startswith(_plain(name))]


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum()).removeprefix("nvidia")


def _target(row: dict[str, str]) -> Target:
    device_kind, *aliases = _NAMES[row["target"]]
    return Target(
        name=row["target"],
        device_kind=device_kind,
        aliases=tuple(aliases),
        memory_bytes=int(row["memory"]),
        text_proto=_text_proto(row, device_kind),
    )


def _text_proto(row: dict[str, str], device_kind: str) -> str:
    major, minor = row["cc"].rstrip("a").split(".")
    extension = " feature_extension: ACCELERATED_FEATURES" if row["cc"].endswith("a") else ""
    return f"""
        platform_name: "CUDA"
        device_description_str: "{device_kind}"
        runtime_version {{ major: 12 minor: 9 patch: 0 }}
        dnn_version_info {{ major: 9 minor: 10 patch: 0 }}
        gpu_device_info {{
            cuda_compute_capability {{ major: {major} minor: {minor}{extension} }}
            core_count: {row["cores"]}
            fpus_per_core: {row["fpus"]}
            threads_per_core_limit: {row["threads"]}
            threads_per_block_limit: 1024
            threads_per_warp: 32
            registers_per_core_limit: 65536
            registers_per_block_limit: 65536
            block_dim_limit_x: 2147483647
            block_dim_limit_y: 65535
            block_dim_limit_z: 65535
            shared_memory_per_block: 49152
            shared_memory_per_block_optin: {row["optin"]}
            shared_memory_per_core: {row["shared"]}
            l2_cache_size: {row["l2"]}
            memory_bandwidth: {row["bandwidth"]}
            clock_rate_ghz: {row["clock"]}
            device_memory_size: {row["memory"]}
        }}
    """


def _rows() -> list[dict[str, str]]:
    header, *rows = (line.split() for line in _TABLE.strip().splitlines())
    return [dict(zip(header, row, strict=True)) for row in rows]


TARGETS: tuple[Target, ...] = tuple(map(_target, _rows()))
"""All that can be planned for."""
