"""Files that a test writes again and again."""

from pathlib import Path


def write_anew(path: Path, content: bytes) -> None:
    """Writes a file anew: where one is cut to nothing first, ext4 waits for the disk, 4 ms each."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)
