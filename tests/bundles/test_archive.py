"""Archives: the same bytes for the same files, and no other archive is accepted."""

import stat
import zipfile
from pathlib import Path

import pytest

from tests.written_anew import write_anew
from vggexport.bundles import archive
from vggexport.bundles.archive import FIRST_MOMENT, ArchiveFiles, write_archive
from vggexport.bundles.checksums import measure_path
from vggexport.bundles.folder import write_folder
from vggexport.errors import ArtifactError, InputError, Unfinished

CONTENT = {"b/two.bin": b"\0\1\2" * 1000, "a.txt": b"one\n", "b/empty": b"", "é.txt": b"accent"}


@pytest.fixture
def files(tmp_path) -> dict[str, Path]:
    folder = tmp_path / "source"
    for name, data in CONTENT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return {name: folder / name for name in CONTENT}


@pytest.fixture
def write(files, tmp_path):
    def write(name="made.zip", moment=FIRST_MOMENT):
        digests = {n: measure_path(path) for n, path in files.items()}
        write_archive(files, digests, tmp_path / name, moment=moment)
        return tmp_path / name

    return write


def test_zipfile_reads_what_was_written(write):
    with zipfile.ZipFile(write(moment=1_700_000_000)) as read:
        assert read.testzip() is None
        assert read.namelist() == sorted(CONTENT)
        for info in read.infolist():
            assert read.read(info) == CONTENT[info.filename]
            assert info.date_time == (2023, 11, 14, 22, 13, 20)
            assert info.external_attr >> 16 == stat.S_IFREG | 0o644


def test_what_was_written_is_accepted(write):
    path = write()
    read = ArchiveFiles(path)
    assert read.names == tuple(sorted(CONTENT))
    for name, data in CONTENT.items():
        assert read.size(name) == len(data)
        with read.open(name) as file:
            assert file.read(3) + file.read() == data
    assert read.is_dated(FIRST_MOMENT)
    assert not read.is_dated(FIRST_MOMENT + 2)


def test_the_same_files_give_the_same_bytes(write, files):
    before = write().read_bytes()
    reversed_files = dict(reversed(files.items()))
    files.clear()
    files.update(reversed_files)
    assert write("again.zip").read_bytes() == before
    assert write("later.zip", FIRST_MOMENT + 86400).read_bytes() != before


def test_a_flipped_bit_anywhere_but_in_a_file_is_refused(write, tmp_path):
    """The files' own bytes are left to their digests."""
    path = write()
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as read:
        begins = {}
        for info in read.infolist():
            begin = info.header_offset + 30 + len(info.filename.encode())
            begins[info.filename] = range(begin, begin + info.file_size)
    inside = set().union(*begins.values())
    broken = tmp_path / "broken.zip"
    for position in set(range(len(whole))) - inside:
        data = bytearray(whole)
        data[position] ^= 1
        write_anew(broken, data)
        with pytest.raises(ArtifactError):
            ArchiveFiles(broken)


def test_an_archive_cut_off_or_with_something_behind_or_before_it_is_refused(write, tmp_path):
    whole, other = write().read_bytes(), tmp_path / "other.zip"
    for data in (whole[:-1], whole[:-30], whole + b"x", b"x" + whole, b"", b"PK"):
        other.write_bytes(data)
        with pytest.raises(ArtifactError, match="is not a bundle, or is cut off"):
            ArchiveFiles(other)


def plain(name, **attributes):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    info.create_system = 3
    for key, value in attributes.items():
        setattr(info, key, value)
    return info


@pytest.mark.parametrize(
    ("infos", "said"),
    [
        ([plain("/etc/passwd")], "is an absolute path"),
        ([plain("C:/windows")], "is an absolute path"),
        ([plain("a/../../b")], "leads out of the bundle"),
        ([plain("a//b")], "is not a plain relative path"),
        ([plain("./b")], "is not a plain relative path"),
        ([plain("a\\..\\b")], "characters that cannot be in a name"),
        ([plain("a\nb")], "characters that cannot be in a name"),
        ([plain("a/" * 30_000 + "b")], "longer than a name can be"),
        ([plain("a" * 300)], "longer than a name can be"),
        ([plain("a"), plain("A")], "are one file on some systems"),
        ([plain("a"), plain("a/b")], "under 'a', which is a file"),
        ([plain("link", external_attr=(stat.S_IFLNK | 0o777) << 16)], "is a link"),
        ([plain("folder/", external_attr=(stat.S_IFDIR | 0o755) << 16)], "is a link"),
        ([plain("bomb", compress_type=zipfile.ZIP_DEFLATED)], "compressed"),
        ([plain("b"), plain("a")], "not in the order"),
        ([], "empty archive"),
    ],
)
def test_what_no_bundle_holds_is_refused(tmp_path, infos, said):
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as evil:
        for info in infos:
            evil.writestr(info, b"\0" * 100_000)
    with pytest.raises(ArtifactError, match=said):
        ArchiveFiles(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "holds 'b/' as a folder"),
        ({"compress_type": zipfile.ZIP_DEFLATED}, "holds 'a.txt' compressed"),
        ({"left_out": "b/"}, "holds 'b/two.bin' with other rights"),
    ],
)
def test_an_archive_that_was_packed_again_is_to_be_unpacked(files, tmp_path, options, said):
    (tmp_path / "source/b/two.bin").chmod(0o600)
    path, compression = tmp_path / "again.zip", options.get("compress_type", zipfile.ZIP_STORED)
    with zipfile.ZipFile(path, "w", compression) as again:
        for place in sorted((tmp_path / "source").rglob("*")):
            name = place.relative_to(tmp_path / "source").as_posix() + "/" * place.is_dir()
            if name != options.get("left_out"):
                again.write(place, name)
    with pytest.raises(
        ArtifactError, match=f"{said}.*: it was packed again by another tool, unpac"
    ):
        ArchiveFiles(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_is_refused(tmp_path):
    path = tmp_path / "twice.zip"
    with zipfile.ZipFile(path, "w") as twice:
        twice.writestr(plain("a"), b"1")
        twice.writestr(plain("a"), b"2")
    with pytest.raises(ArtifactError, match="'a' and 'a', which are one file"):
        ArchiveFiles(path)


def test_a_huge_directory_is_not_read(write, monkeypatch):
    path = write()
    monkeypatch.setattr(archive, "_MAX_DIRECTORY", 100)
    with pytest.raises(ArtifactError, match="its directory is larger"):
        ArchiveFiles(path)


def test_a_file_that_changes_meanwhile_is_noticed(files, tmp_path):
    digests = {name: measure_path(path) for name, path in files.items()}
    files["a.txt"].write_bytes(b"two\n")
    with pytest.raises(Unfinished, match=r"a\.txt was changed while it was read"):
        write_archive(files, digests, tmp_path / "made.zip", moment=FIRST_MOMENT)
    with pytest.raises(Unfinished, match=r"a\.txt was changed while it was read"):
        write_folder(files, digests, tmp_path / "made")


def test_what_an_archive_does_not_hold_is_refused(write, monkeypatch):
    with pytest.raises(InputError, match="SOURCE_DATE_EPOCH 0 is not a date"):
        write(moment=0)
    monkeypatch.setattr(archive, "_LIMIT", 1000)
    with pytest.raises(InputError, match="larger than 4 GiB"):
        write()


def test_another_file_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="cannot be read"):
        ArchiveFiles(tmp_path / "missing.zip")
    (tmp_path / "text.zip").write_text("no archive " * 100)
    with pytest.raises(ArtifactError, match="is not a bundle"):
        ArchiveFiles(tmp_path / "text.zip")
