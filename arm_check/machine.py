"""An ARM processor in software: qemu, an arm64 Python and this package's wheels, in a folder.

``python -m arm_check.machine`` asks pip whether there are wheels for all that the extras
``runtime`` and ``build`` need, and installs nothing.

All of it comes through apt and pip as they are configured here. Nothing is installed: apt keeps its
lists and downloads in the folder, its packages are unpacked there, and qemu is told where to look.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vggexport.errors import Unavailable
from vggexport.system.output_files import temporary_folder

ROOT = Path(__file__).parent.parent
FIRST_QEMU = 10
"""7.2, Debian bookworm's own, dies in the runtimes' look at the processor (cpuinfo)."""

PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
"""The tags that aarch64 wheels of today carry."""

CPUS = ("max", "cortex-a76", "cortex-a53")
"""All that qemu has (8-bit matrix products), dot products, NEON alone."""

_SLOWED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # settings for another processor


@dataclass(frozen=True, slots=True)
class ArmMachine:
    """What runs ARM programs.

    Attributes:
        folder: Where all of it lies.
        qemu: Version of the Debian package.
    """

    folder: Path
    qemu: str

    @property
    def python(self) -> Path:
        """The interpreter."""
        return next((self.folder / "arm64" / "usr" / "bin").glob("python3.[0-9]*[0-9]"))

    def command(self, cpu: str, *arguments: str | Path) -> list[str]:
        """Runs Python with arguments on a CPU model, after all others that want this machine."""
        emulator = self.folder / "amd64" / "usr" / "bin" / "qemu-aarch64"
        begin = ["nice", "-n", "19", emulator, "-cpu", cpu, "-L", self.folder / "arm64"]
        return [str(part) for part in (*begin, self.python, *arguments)]

    def environment(self) -> dict[str, str]:
        """This process' own, with the wheels and these sources as the only packages."""
        kept = {name: value for name, value in os.environ.items() if name not in _SLOWED}
        path = os.pathsep.join(map(str, (ROOT, self.folder / "wheels")))
        return kept | {
            "PYTHONPATH": path,
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }


def fetch(folder: Path) -> ArmMachine:
    """Brings what is not in the folder yet: 480 MB, a minute or two.

    Raises:
        Unavailable: A package is not to be had.
    """
    folder = folder.resolve()
    qemu = unpack(folder, "amd64", ["qemu-user"])["qemu-user"]
    if major(qemu) < FIRST_QEMU:
        raise Unavailable(
            f"the package qemu-user is {qemu} here, which crashes in the runtimes' look at the "
            f"processor: from {FIRST_QEMU} on, as in Debian's backports, it does not"
        )
    unpack(folder, "arm64", ["python3", "libstdc++6"])
    machine = ArmMachine(folder, qemu)
    install_wheels(folder / "wheels", machine.python.name.removeprefix("python"))
    return machine


def major(version: str) -> int:
    """Of a Debian version such as 1:10.0.2+ds-2."""
    found = re.match(r"(?:\d+:)?(\d+)", version)
    return int(found[1]) if found else 0


def unpack(folder: Path, architecture: str, packages: Sequence[str]) -> dict[str, str]:
    """Packages and what they need, under ``folder/architecture``: versions by name.

    Raises:
        Unavailable: apt is not here, or does not give them.
    """
    there, own = folder / architecture, folder / f"apt-{architecture}"
    archives = own / "cache" / "archives"
    if not there.is_dir():
        download(own, architecture, packages)
        part = folder / f"{architecture}.part"
        shutil.rmtree(part, ignore_errors=True)
        for archive in sorted(archives.glob("*.deb")):
            _run(["dpkg-deb", "-x", str(archive), str(part)], packages)
        part.rename(there)
    wanted = "${Package} ${Version}\n"
    shown = (["dpkg-deb", f"--showformat={wanted}", "-W", str(a)] for a in archives.glob("*.deb"))
    return dict(_run(command, packages).split() for command in shown)


def download(own: Path, architecture: str, packages: Sequence[str]) -> None:
    """Has apt download packages of an architecture, as if nothing were installed.

    Its lists, state and cache are of its own; proxies, keys and sources are the machine's.

    Raises:
        Unavailable: apt is not here, or does not give them.
    """
    for name in ("state/lists/partial", "cache/archives/partial"):
        (own / name).mkdir(parents=True, exist_ok=True)
    (own / "state" / "status").touch()
    lines, preferred = sources(architecture, packages)
    (own / "sources.list").write_text(lines, encoding="utf-8")
    (own / "preferences").write_text(preferred, encoding="utf-8")
    settings = {
        "APT::Architecture": architecture, "APT::Architectures": architecture,
        "Dir::State": own / "state", "Dir::State::status": own / "state" / "status",
        "Dir::Cache": own / "cache", "Dir::Etc::sourcelist": own / "sources.list",
        "Dir::Etc::sourceparts": "-", "Dir::Etc::preferences": own / "preferences",
        "Dir::Etc::preferencesparts": "-", "APT::Sandbox::User": "",
    }  # fmt: skip
    apt = [
        "apt-get",
        *(part for name, value in settings.items() for part in ("-o", f"{name}={value}")),
    ]
    _run([*apt, "update", "--error-on=any"], packages)
    only = ("--yes", "--download-only", "--no-install-recommends")
    _run([*apt, "install", *only, *packages], packages)


def sources(architecture: str, packages: Sequence[str]) -> tuple[str, str]:
    """Sources of apt with backports, from the machine's own, and what prefers qemu's from there.

    Raises:
        Unavailable: apt is not here, or has no source.
    """
    targets = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)"]
    told = _run([*targets, "Created-By: Packages"], packages).splitlines()
    own = _run(["sh", "-c", ". /etc/os-release && echo $VERSION_CODENAME"], packages).strip()
    found = [words[0] for line in told if (words := line.split())[1:] == [own, "main"]]
    if not found:
        raise Unavailable(
            f"apt has no source of {own}'s packages, from which {packages[0]} would come"
        )
    suites = (own, f"{own}-backports") if "qemu-user" in packages else (own,)
    lines = "".join(f"deb [arch={architecture}] {found[0]} {suite} main\n" for suite in suites)
    return lines, f"Package: qemu-user\nPin: release n={own}-backports\nPin-Priority: 990\n"


def install_wheels(folder: Path, python: str) -> None:
    """This package's runtimes for aarch64, unless they are there already.

    Raises:
        Unavailable: pip does not find one.
    """
    digest = hashlib.sha256((ROOT / "constraints.txt").read_bytes()).hexdigest()
    stamp = folder / ".complete"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == digest:
        return
    shutil.rmtree(folder, ignore_errors=True)
    _run(
        pip_for_arm(python, "--target", str(folder), ".[runtime]"), ["aarch64 wheels of .[runtime]"]
    )
    stamp.write_text(digest, encoding="utf-8")


def pip_for_arm(python: str, *arguments: str) -> list[str]:
    """The command that installs wheels of aarch64, at the versions that were measured."""
    platforms = (part for name in PLATFORMS for part in ("--platform", f"{name}_aarch64"))
    begin = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    chosen = ["--only-binary=:all:", "--python-version", python, "--constraint", "constraints.txt"]
    return [*begin, *platforms, *chosen, *arguments]


def resolve(python: str, extras: str) -> None:
    """Has pip choose wheels of aarch64 for these sources with extras, and install none.

    Raises:
        Unavailable: It finds none for a dependency.
    """
    with temporary_folder() as folder:
        # From pip 25 on only the wheels' metadata is fetched then, of 450 MB.
        lazily = ("--dry-run", "--use-feature=fast-deps", "--no-cache-dir")
        command = pip_for_arm(python, *lazily, "--target", str(folder), f".[{extras}]")
        _run(command, [f"an aarch64 wheel of every dependency of .[{extras}]"])


def _run(command: Sequence[str], packages: Sequence[str]) -> str:
    """What a command prints.

    Raises:
        Unavailable: It is not here, or fails.
    """
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except OSError as error:
        raise Unavailable(f"{command[0]} is not here, which would bring {packages[0]}") from error
    except subprocess.CalledProcessError as error:
        said = [line for line in error.stderr.splitlines() if "ERROR" in line or "E:" in line]
        told = "; ".join(line.strip() for line in said) or "it does not say why"
        raise Unavailable(f"{packages[0]} is not to be had: {told}") from error
    return done.stdout


if __name__ == "__main__":
    try:
        resolve(f"{sys.version_info.major}.{sys.version_info.minor}", "runtime,build")
    except Unavailable as unavailable:
        print(f"wheels for ARM: {unavailable}", file=sys.stderr)
        sys.exit(unavailable.exit_code)
