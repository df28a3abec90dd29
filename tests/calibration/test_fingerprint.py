import hashlib

import numpy as np

from calibration.fingerprint import array_digest, fingerprint


def test_fingerprint_is_sha256_of_the_digests_line_by_line():
    assert fingerprint(["ab", "cd"]) == hashlib.sha256(b"ab\ncd\n").hexdigest()


def test_order_and_number_of_digests_count():
    digests = [["ab", "cd"], ["cd", "ab"], ["ab"], ["abcd"], []]
    assert len({fingerprint(each) for each in digests}) == len(digests)


def test_array_digest_sees_pixels_and_shape():
    pixels = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    assert array_digest(pixels) == hashlib.sha256(b"(2, 3, 3)\n" + bytes(range(18))).hexdigest()
    assert array_digest(pixels.reshape(3, 2, 3)) != array_digest(pixels)


def test_array_digest_does_not_depend_on_the_memory_layout():
    pixels = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    assert array_digest(np.asfortranarray(pixels)) == array_digest(pixels)
