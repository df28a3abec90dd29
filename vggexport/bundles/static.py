"""Files that are the same in every bundle: the self-test, and example code for phones."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

STATIC: Mapping[str, str] = {
    "self_test.py": "self_test.py",
    **{
        f"examples/{name}": name
        for name in (
            *("android/Preprocessing.kt", "android/GoldenCheck.kt", "android/Bundle.kt"),
            *("android/LiteRtClassifier.kt", "android/OnnxClassifier.kt"),
            *("ios/Preprocessing.swift", "ios/GoldenCheck.swift", "ios/Bundle.swift"),
            *("ios/LiteRtClassifier.swift", "ios/OnnxClassifier.swift"),
        )
    },
}
"""By name in the bundle: the file among the templates that is copied as it is."""


def static_files(*, with_examples: bool = True) -> dict[str, bytes]:
    """Their bytes, by name in the bundle.

    Args:
        with_examples: The code for phones, too: it runs models that take RGB 0...255.
    """
    folder = resources.files("vggexport.bundles").joinpath("templates")
    return {
        name: folder.joinpath(source).read_bytes()
        for name, source in STATIC.items()
        if with_examples or not name.startswith("examples/")
    }
