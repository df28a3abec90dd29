"""Files of which it is known whether they are in memory."""

import mmap

from vggexport.system.page_cache import drop_cached


def test_a_file_is_forgotten(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 1000)
    assert drop_cached([path]) == 0.0
    assert path.read_bytes() == bytes(range(256)) * 1000
    (tmp_path / "empty").touch()
    assert drop_cached([tmp_path / "empty"]) == 0.0


def test_what_stays_in_memory_is_told(tmp_path):
    """Pages that somebody has mapped and read are not dropped: here one of four."""
    path = tmp_path / "file"
    path.write_bytes(bytes(4 * mmap.PAGESIZE))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert drop_cached([path]) == 0.0
        mapped.madvise(mmap.MADV_RANDOM)  # read no page but the one that is asked for
        assert mapped[0] == 0
        assert drop_cached([path]) == 0.25
