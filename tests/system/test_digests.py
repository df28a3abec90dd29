import hashlib

from vggexport.system.digests import sha256


def test_digest_of_a_file_longer_than_a_read_buffer(tmp_path):
    data = bytes(range(256)) * 4096
    path = tmp_path / "long"
    path.write_bytes(data)
    assert sha256(path) == hashlib.sha256(data).hexdigest()
