"""``run.py`` of a pack: ``python run.py [--provider NAME] [--quick] [--json]``.

Takes the sources out of the pack into a folder of its own and starts ``gpu_check.run``. Python
3.11 to 3.13 with numpy, onnx and onnxruntime(-gpu) is all that it needs; nothing is downloaded.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import types
import zipfile
from pathlib import Path

NEEDED = ("numpy", "onnx", "onnxruntime")


class Absent:
    """What would be a package's: to be named, not to be used."""

    def __getattr__(self, name: str) -> Absent:
        return self

    def __call__(self, *_values: object, **_named: object) -> None:
        """Refuses."""
        raise ImportError("this needs Pillow, which the check does without")


def stand_in_for_pillow() -> None:
    """Where it is missing: modules that decode pictures are imported here, and never used."""
    try:
        import PIL.Image  # noqa: F401, PLC0415
    except ImportError:
        _stand_in()


def _stand_in() -> None:
    pillow = types.ModuleType("PIL")
    for name in ("Image", "ImageCms", "ImageFile", "ImageOps", "UnidentifiedImageError"):
        setattr(pillow, name, Absent())
    sys.modules["PIL"] = pillow


def missing() -> list[str]:
    """What is needed and not there."""
    found = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    return found if sys.version_info >= (3, 11) else ["Python 3.11 or later", *found]


def start(pack: Path, arguments: list[str]) -> int:
    """Runs the check on the pack."""
    if absent := missing():
        print(f"gpu-check: {', '.join(absent)} is not installed here", file=sys.stderr)
        return 3
    with tempfile.TemporaryDirectory(prefix="vggexport-") as folder:
        with zipfile.ZipFile(pack / "source.zip") as sources:
            sources.extractall(folder)
        os.environ["VGGEXPORT_CACHE_DIR"] = str(pack)  # its traced graphs
        sys.dont_write_bytecode = True
        sys.path.insert(0, folder)
        stand_in_for_pillow()
        from gpu_check.run import main  # noqa: PLC0415  it is in the zip

        return main(pack, arguments)


if __name__ == "__main__":
    sys.exit(start(Path(__file__).resolve().parent, sys.argv[1:]))
