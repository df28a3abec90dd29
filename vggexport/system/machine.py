"""The machine that a latency was measured on, as its files under ``/proc`` and ``/sys`` tell.

What a system does not tell is None; nothing is guessed. Every function takes the root of the file
system, so that tests can make up a machine.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vggexport.system.cgroup import ROOT, cpu_quota
from vggexport.system.json_values import JsonValue
from vggexport.system.process import affinity, package_versions, usable_cores

FEATURES: Mapping[str, frozenset[str]] = {
    "vnni": frozenset({"avx512_vnni", "avx_vnni"}),
    "amx": frozenset({"amx_int8"}),
    "avx2": frozenset({"avx2"}),
    "avx512": frozenset({"avx512f"}),
    "bf16": frozenset({"avx512_bf16", "amx_bf16", "bf16"}),
    "dotprod": frozenset({"asimddp"}),
    "i8mm": frozenset({"i8mm"}),
    "fp16": frozenset({"asimdhp", "avx512_fp16"}),
}
"""Instruction sets that matter to inference, and Linux' flags for each, of which one is enough
(arch/x86/include/asm/cpufeatures.h; Documentation/arch/arm64/elf_hwcaps.rst)."""

INT8_FEATURES = ("vnni", "amx", "dotprod", "i8mm")
"""Those that multiply 8-bit integers faster than float32."""

ARM_PARTS: Mapping[str, str] = {
    "0xd03": "Cortex-A53", "0xd05": "Cortex-A55", "0xd07": "Cortex-A57", "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73", "0xd0a": "Cortex-A75", "0xd0b": "Cortex-A76", "0xd0c": "Neoverse-N1",
    "0xd40": "Neoverse-V1", "0xd41": "Cortex-A78", "0xd44": "Cortex-X1", "0xd49": "Neoverse-N2",
    "0xd4f": "Neoverse-V2",
}  # fmt: skip
"""Names of Arm's own cores by "CPU part" of implementer 0x41: aarch64 has no "model name"."""

_ARM = "0x41"

THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "CUDA_VISIBLE_DEVICES",
)  # fmt: skip
"""Environment variables by which users set threads and devices."""

BUSY_LOAD = 0.25
"""Load a core from which a machine counts as busy: on two cores, one process that runs half of the
time. A benchmark that needs all cores then waits for it."""


@dataclass(frozen=True, slots=True)
class Machine(JsonValue):
    """What a latency depends on beside the artifact.

    Attributes:
        system: Kernel and its release.
        architecture: "x86_64", "aarch64" ...
        cpu_model: The processor's name.
        cpu_features: By the names of :data:`FEATURES`.
        physical_cores: Cores that this process may use at the same time, of which each may run
            several threads.
        logical_cores: Threads of the machine.
        affinity: Logical cores that this process may use.
        governor: Frequency governor, of several the first core's.
        frequency_mhz: Mean over the cores at the start.
        temperature_c: The hottest sensor at the start, in degrees Celsius.
        memory_bytes: Of the machine.
        load_average: Of the last minute, at the start.
        python: Version.
        packages: Versions by name.
        thread_settings: The user's environment variables, where set.
        cpu_quota: Processors' worth of time that its control groups allow; None for no limit.
    """

    json_keys = """
        system architecture cpu_model cpu_features physical_cores logical_cores affinity cpu_quota?
        governor frequency_mhz temperature_c memory_bytes load_average python packages
        thread_settings busy
    """

    system: str
    architecture: str
    cpu_model: str
    cpu_features: Mapping[str, bool]
    physical_cores: int
    logical_cores: int
    affinity: tuple[int, ...]
    governor: str | None
    frequency_mhz: float | None
    temperature_c: float | None
    memory_bytes: int | None
    load_average: float | None
    python: str
    packages: Mapping[str, str]
    thread_settings: Mapping[str, str]
    cpu_quota: float | None = None

    @property
    def busy(self) -> bool:
        """Whether others used much of the machine when the run began."""
        return (self.load_average or 0.0) > BUSY_LOAD * max(1, len(self.affinity))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of latencies must know of it."""
        busy = (
            f"the machine was busy at the start (load average {self.load_average or 0:.2f} on "
            f"{len(self.affinity)} cores): measure again when it is idle"
        )
        return (busy,) if self.busy else ()

    @property
    def has_int8(self) -> bool:
        """Whether any instruction set multiplies 8-bit integers faster than floats."""
        return any(self.cpu_features[name] for name in INT8_FEATURES)


def read_machine(root: Path = ROOT) -> Machine:
    """Describes the machine now."""
    cpus = _cpus(text_of(root / "proc/cpuinfo") or "")
    flags = _flags(cpus)
    return Machine(
        system=f"{platform.system()} {platform.release()}",
        architecture=platform.machine(),
        cpu_model=_model(cpus, root),
        cpu_features={name: bool(flags & known) for name, known in FEATURES.items()},
        physical_cores=physical_cores(root),
        logical_cores=os.cpu_count() or 1,
        affinity=affinity(),
        governor=text_of(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        frequency_mhz=frequency_mhz(root),
        temperature_c=temperature_c(root),
        memory_bytes=_memory_bytes(root),
        load_average=_load_average(root),
        python=platform.python_version(),
        packages=package_versions("onnxruntime-gpu", "openvino", "safetensors"),
        thread_settings={k: os.environ[k] for k in THREAD_VARIABLES if k in os.environ},
        cpu_quota=cpu_quota(root),
    )


def processor(root: Path = ROOT) -> str:
    """What the last digits of answers depend on: architecture and instruction sets for integers."""
    flags = _cpu_flags(root)
    found = [name for name in (*INT8_FEATURES, "avx2", "avx512") if flags & FEATURES[name]]
    return f"{platform.machine()} ({', '.join(found)})" if found else platform.machine()


def sums_in_half(root: Path = ROOT) -> bool:
    """Whether this is an ARM processor with 16-bit floats, in which ONNX Runtime sums float16 then.

    All of Apple's have them, whose system has no ``/proc``.
    """
    if platform.machine() not in {"aarch64", "arm64"}:
        return False
    return bool(_cpu_flags(root) & FEATURES["fp16"]) or platform.system() == "Darwin"


def physical_cores(root: Path = ROOT) -> int:
    """Cores among those that this process may use, each counted once however many threads it runs.

    A quota of its control groups allows fewer.

    One thread a core is what matrix products want: two on one core share its multipliers.
    """
    topology = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    siblings = {text_of(root / topology.format(number)) for number in affinity()}
    usable = usable_cores(root)
    return min(len(siblings), usable) if siblings and None not in siblings else usable


def frequency_mhz(root: Path = ROOT) -> float | None:
    """Mean frequency of the cores now, or None where the system does not tell."""
    folder = root / "sys/devices/system/cpu"
    kilohertz = [text_of(path) for path in folder.glob("cpu[0-9]*/cpufreq/scaling_cur_freq")]
    found = [float(value) / 1000 for value in kilohertz if value and value.isdecimal()]
    if not found:
        matches = re.findall(r"^cpu MHz\s*:\s*([\d.]+)", text_of(root / "proc/cpuinfo") or "", re.M)
        found = [float(value) for value in matches]
    return round(sum(found) / len(found), 1) if found else None


def temperature_c(root: Path = ROOT) -> float | None:
    """The hottest thermal zone now, in degrees Celsius, or None where the system does not tell."""
    zones = [text_of(path) for path in (root / "sys/class/thermal").glob("thermal_zone*/temp")]
    found = [int(value) / 1000 for value in zones if value and value.lstrip("-").isdecimal()]
    return max(found) if found else None


def text_of(path: Path) -> str | None:
    """A small file's text without the line's end; None if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _cpus(cpuinfo: str) -> list[dict[str, str]]:
    """The paragraphs of ``/proc/cpuinfo`` as mappings."""
    paragraphs = []
    for paragraph in cpuinfo.split("\n\n"):
        pairs = (line.partition(":") for line in paragraph.splitlines())
        paragraphs.append({key.strip(): value.strip() for key, _, value in pairs})
    return paragraphs


def _cpu_flags(root: Path) -> frozenset[str]:
    return _flags(_cpus(text_of(root / "proc/cpuinfo") or ""))


def _flags(cpus: list[dict[str, str]]) -> frozenset[str]:
    """Flags that every core has: a program may be moved to any of them."""
    per_core = [
        frozenset((cpu.get("flags") or cpu.get("Features") or "").split())
        for cpu in cpus
        if "flags" in cpu or "Features" in cpu
    ]
    return frozenset.intersection(*per_core) if per_core else frozenset()


def _model(cpus: list[dict[str, str]], root: Path) -> str:
    """Names of the processor's kinds of cores, and of the board where it says more than they do."""
    names = dict.fromkeys(name for cpu in cpus if (name := _core_name(cpu)))
    board = text_of(root / "proc/device-tree/model")
    cores = " + ".join(names) or platform.processor() or platform.machine()
    return f"{cores} ({board.rstrip(chr(0))})" if board else cores


def _core_name(cpu: Mapping[str, str]) -> str | None:
    if name := cpu.get("model name"):
        return name
    part = cpu.get("CPU part")
    if part is None:
        return None
    implementer = cpu.get("CPU implementer")
    return (ARM_PARTS.get(part) if implementer == _ARM else None) or f"{implementer} part {part}"


def available_memory_bytes(root: Path = ROOT) -> int | None:
    """Memory that a new process can have without swapping; a container's limit may be lower."""
    return _memory_bytes(root, "MemAvailable")


def _memory_bytes(root: Path, name: str = "MemTotal") -> int | None:
    match = re.search(rf"^{name}:\s*(\d+) kB", text_of(root / "proc/meminfo") or "", re.M)
    return int(match[1]) * 1024 if match else None


def _load_average(root: Path) -> float | None:
    text = text_of(root / "proc/loadavg")
    return float(text.split()[0]) if text else None
