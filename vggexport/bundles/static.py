"""Files that are the same in every bundle: the self-test, and example apps and clients."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

_APP = (
    *("Bundle", "FrameAnalyzer", "Frames", "GoldenCheck", "LiteRtClassifier", "MainActivity"),
    *("OnnxClassifier", "Orientation", "Pictures", "Preprocessing", "Ranking", "Worker"),
)
_ANDROID: Mapping[str, str] = {
    "settings.gradle.kts": "settings.gradle.kts",
    "build.gradle.kts": "build.gradle.kts",
    "gradle.properties": "gradle.properties",
    "app/build.gradle.kts": "app_build.gradle.kts",
    "app/proguard-rules.pro": "proguard-rules.pro",
    "app/src/main/AndroidManifest.xml": "AndroidManifest.xml",
    **{f"app/src/main/java/com/example/vgg/{name}.kt": f"{name}.kt" for name in _APP},
    **{
        f"app/src/androidTest/java/com/example/vgg/{name}.kt": f"{name}.kt"
        for name in ("CameraImages", "GoldenTest")
    },
}
"""A Gradle project: by its path in it, the template."""

_IOS: Mapping[str, str] = {
    "Package.swift": "Package.swift",
    "LiteRtClassifier.swift": "LiteRtClassifier.swift",
    **{
        f"Sources/VGG/{name}.swift": f"{name}.swift"
        for name in (
            *("Bundle", "CameraFrames", "Frames", "GoldenCheck", "OnnxClassifier", "Orientation"),
            *("Pictures", "Preprocessing", "Ranking", "Worker"),
        )
    },
    **{f"Tests/VGGTests/{name}.swift": f"{name}.swift" for name in ("CameraImages", "GoldenTests")},
}
"""A Swift package likewise."""

STATIC: Mapping[str, str] = {
    "self_test.py": "self_test.py",
    "examples/LICENSE": "examples_LICENSE",
    "examples/README.md": "examples_README.md",
    "examples/server/client.py": "client.py",
    **{f"examples/android/{name}": f"android/{source}" for name, source in _ANDROID.items()},
    **{f"examples/ios/{name}": f"ios/{source}" for name, source in _IOS.items()},
}
"""By name in the bundle: the file among the templates that is copied as it is."""


def static_files(*, with_examples: bool = True) -> dict[str, bytes]:
    """Their bytes, by name in the bundle.

    Examples are the code for phones, which runs models that take RGB 0...255.
    """
    folder = resources.files("vggexport.bundles").joinpath("templates")
    return {
        name: folder.joinpath(source).read_bytes()
        for name, source in STATIC.items()
        if with_examples or not name.startswith("examples/")
    }
