import pytest

from calibration.errors import CalibrationDataError
from calibration.seeding import generator


def draw(*keys):
    return generator(*keys).integers(1 << 62)


def test_equal_keys_give_equal_numbers():
    assert draw(3, 1) == draw(3, 1)


def test_each_key_has_its_own_stream():
    assert len({draw(0), draw(1), draw(0, 1), draw(1, 0), draw(0, 2)}) == 5


def test_a_negative_seed_is_refused():
    with pytest.raises(CalibrationDataError, match="seed -1 is negative: pass 0 or more"):
        generator(-1)
