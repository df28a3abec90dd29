"""Whatever is changed in a bundle, it is refused, and nothing of it is run."""

import shutil
import zipfile
from functools import cache

import pytest

import vggexport
from vggexport.bundles import CHECKSUMS, MANIFEST, SIGNATURE
from vggexport.bundles.archive import ArchiveFiles, write_archive
from vggexport.bundles.checksums import measure_path
from vggexport.errors import ArtifactError, VggExportError
from vggexport.system.digests import render_checksums
from vggexport.workflows import check_bundle
from vggexport.workflows.check_bundle import BundleCheckOptions


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch):
    """A bundle that is not what was packed is neither unpacked nor run."""

    def refuse(*_arguments, **_options):
        raise AssertionError("was unpacked or run")

    monkeypatch.setattr(check_bundle, "unpack", refuse)
    monkeypatch.setattr(check_bundle, "answer", refuse)


@pytest.fixture
def public(make_key):
    return make_key("ours")[1]


def problems(path, key=None):
    options = BundleCheckOptions(path, public_key=key, run=False)
    try:
        return vggexport.check_bundle(options).failures
    except VggExportError as error:
        return (str(error),)


@cache
def measured(path, _changed):
    """A digest, of a file that did not change since."""
    return measure_path(path)


def pack(folder, target, moment=315532800):
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    digests = {name: measured(path, path.stat().st_mtime_ns) for name, path in files.items()}
    write_archive(files, digests, target, moment=moment)
    return target


def test_untouched_it_is_accepted(bundled, unpacked, public, tmp_path):
    assert problems(bundled, public) == ()
    assert problems(unpacked, public) == ()
    assert pack(unpacked, tmp_path / "again.zip").read_bytes() == bundled.read_bytes()


def test_one_flipped_bit_in_each_member(bundled, members, public, tmp_path):
    whole = bundled.read_bytes()
    for info in members:
        data = bytearray(whole)
        begin = info.header_offset + 30 + len(info.filename)
        data[begin + info.file_size // 2] ^= 1
        broken = tmp_path / "broken.zip"
        broken.write_bytes(data)
        found = problems(broken, public)
        assert found, info.filename
        if info.filename not in {CHECKSUMS, SIGNATURE}:
            assert f"{info.filename} was changed" in found
            assert problems(broken), f"{info.filename} without a key"


def test_one_flipped_bit_in_each_file_of_a_folder(unpacked, members, public):
    for info in members:
        path = unpacked / info.filename
        whole = path.read_bytes()
        data = bytearray(whole)
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        assert problems(unpacked, public), info.filename
        path.write_bytes(whole)


def test_each_member_removed(unpacked, members, public, tmp_path):
    for info in members:
        path = unpacked / info.filename
        path.rename(tmp_path / "aside")
        for place in (unpacked, pack(unpacked, tmp_path / "removed.zip")):
            assert problems(place, public), info.filename
        (tmp_path / "aside").rename(path)


@pytest.mark.parametrize("name", ["models/added.onnx", ".hidden", "golden/inputs/900.png"])
def test_a_member_added(unpacked, public, tmp_path, name):
    (unpacked / name).write_bytes(b"added")
    for place in (unpacked, pack(unpacked, tmp_path / "added.zip")):
        for key in (None, public):
            assert problems(place, key) == (f"{name} was added",)


def test_each_member_renamed(unpacked, members, public, tmp_path):
    for info in members:
        path = unpacked / info.filename
        renamed = path.with_name(f"{path.name}_")
        path.rename(renamed)
        for place in (unpacked, pack(unpacked, tmp_path / "renamed.zip")):
            assert problems(place, public), info.filename
        renamed.rename(path)


def test_reordered_members(bundled, members, public, tmp_path):
    other = tmp_path / "reordered.zip"
    with zipfile.ZipFile(bundled) as source, zipfile.ZipFile(other, "w") as target:
        for info in [*members[1:], members[0]]:
            target.writestr(info, source.read(info))
    assert "not in the order" in problems(other, public)[0]


def test_packed_again_by_another_tool(unpacked, members, public, tmp_path):
    other = tmp_path / "again.zip"
    with zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as target:
        for info in members:
            target.write(unpacked / info.filename, info.filename)
    assert problems(other, public)


def test_other_dates(unpacked, public, tmp_path):
    later = pack(unpacked, tmp_path / "later.zip", moment=1_700_000_000)
    for key in (None, public):
        assert problems(later, key) == ("the dates of its files were changed",)


def test_swapped_signatures(unpacked, make_key, public, tmp_path):
    """That of another bundle by the same key, and that of this one by another key."""
    from vggexport.bundles.signing import signer

    signature = unpacked / SIGNATURE
    listing = (unpacked / CHECKSUMS).read_bytes()
    for other in (
        signer(make_key("ours")[0])(listing + b"\n"),
        signer(make_key("theirs")[0])(listing),
        bytes(64),
        b"",
    ):
        signature.write_bytes(other)
        for place in (unpacked, pack(unpacked, tmp_path / "swapped.zip")):
            assert "its signature is not by the owner of ours.pub.pem" in problems(place, public)[0]


def test_digests_made_to_fit(unpacked, public):
    """Whoever changes a file can make the list fit, and not sign it."""
    changed = unpacked / MANIFEST
    changed.write_bytes(changed.read_bytes().replace(b"CC BY 4.0", b"MIT      "))
    names = [p.relative_to(unpacked).as_posix() for p in unpacked.rglob("*") if p.is_file()]
    digests = {
        name: measure_path(unpacked / name).sha256
        for name in names
        if name not in {CHECKSUMS, SIGNATURE}
    }
    (unpacked / CHECKSUMS).write_text(render_checksums(digests))
    assert problems(unpacked) == ()
    assert "its signature is not by" in problems(unpacked, public)[0]


def test_an_unsigned_bundle_where_a_signature_is_demanded(unpacked, public):
    (unpacked / SIGNATURE).unlink()
    assert problems(unpacked) == ()
    assert "it is not signed" in problems(unpacked, public)[0]


def test_a_link_in_a_folder(unpacked, public, tmp_path):
    model = unpacked / "models/tiny.onnx"
    shutil.move(model, tmp_path / "elsewhere.onnx")
    model.symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(ArtifactError, match="is a link or a device"):
        vggexport.check_bundle(BundleCheckOptions(unpacked, public_key=public))


def test_what_is_no_bundle(tmp_path, bundled):
    (tmp_path / "empty").mkdir()
    for path, said in (
        (tmp_path / "missing.zip", "does not exist"),
        (tmp_path / "empty", "it is an empty folder"),
    ):
        with pytest.raises(ArtifactError, match=said):
            vggexport.check_bundle(BundleCheckOptions(path))
    (tmp_path / "empty/file").write_text("x")
    with pytest.raises(ArtifactError, match="it has no SHA256SUMS"):
        vggexport.check_bundle(BundleCheckOptions(tmp_path / "empty"))
    assert ArchiveFiles(bundled).names
