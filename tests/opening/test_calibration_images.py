"""Which images calibrate, and which check."""

import numpy as np
import pytest
from PIL import Image

import calibration
from vggexport.errors import CalibrationError
from vggexport.opening.calibration_images import CalibrationOptions, ImagePlan


def plan(data, *, calibrated, checked, seed=0):
    options = CalibrationOptions(data=data, samples=calibrated, method="minmax", seed=seed)
    return ImagePlan(options, 16, calibrated=calibrated, checked=checked)


def keys(images):
    return [image.tobytes() for image in images]


def test_check_images_are_unseen_when_there_are_enough(make_npz):
    images = plan(make_npz(10), calibrated=6, checked=3)
    seen, checks = keys(images.calibration_images()), keys(images.check_images())
    assert (len(seen), len(checks)) == (6, 3)
    assert len(set(seen + checks)) == 9


def test_as_many_unseen_as_there_are(make_npz):
    """Nine images: one unseen, and the last two that were calibrated on."""
    images = plan(make_npz(9), calibrated=8, checked=3)
    seen, checks = keys(images.calibration_images()), keys(images.check_images())
    assert checks[:2] == seen[-2:]
    assert checks[2] not in seen


def test_the_last_images_check_when_all_are_needed(make_npz):
    images = plan(make_npz(10), calibrated=10, checked=3)
    seen = keys(images.calibration_images())
    assert keys(images.check_images()) == seen[-3:]


def test_fewer_images_than_checks(make_npz):
    images = plan(make_npz(2), calibrated=2, checked=8)
    assert keys(images.calibration_images()) == keys(images.check_images())


def test_checks_alone(make_npz, pixels):
    images = plan(make_npz(10), calibrated=0, checked=4)
    assert list(images.calibration_images()) == []
    checks = images.check_images()
    assert checks.shape == (4, 16, 16, 3)
    assert checks.dtype == np.uint8
    assert set(keys(checks)) <= set(keys(pixels))


def test_calibration_alone(make_npz, pixels):
    images = plan(make_npz(10), calibrated=10, checked=0)
    assert sorted(keys(images.calibration_images())) == sorted(keys(pixels))


def test_check_images_can_be_asked_for_twice(make_npz):
    images = plan(make_npz(10), calibrated=4, checked=3)
    first = images.check_images()
    np.testing.assert_array_equal(images.check_images(), first)
    assert len(first) == 3


def test_the_record_is_of_the_calibration_images_alone(make_npz):
    data = make_npz(10)
    images = plan(data, calibrated=6, checked=3)
    seen = [calibration.array_digest(image) for image in images.calibration_images()]
    images.check_images()
    record = images.record()
    assert (record.source, record.samples, record.method) == ("images10.npz", 6, "minmax")
    assert list(record.image_digests) == seen
    assert record.fingerprint == calibration.fingerprint(seen)


def test_checks_do_not_change_what_calibrates(make_npz):
    data = make_npz(10)
    alone = plan(data, calibrated=6, checked=0)
    checked = plan(data, calibrated=6, checked=3)
    assert keys(alone.calibration_images()) == keys(checked.calibration_images())


def test_checks_do_not_change_which_synthetic_images_calibrate():
    alone = plan("synthetic", calibrated=6, checked=0)
    checked = plan("synthetic", calibrated=6, checked=3)
    assert keys(alone.calibration_images()) == keys(checked.calibration_images())


def test_the_seed_picks(make_npz):
    data = make_npz(10)

    def first(seed):
        return keys(plan(data, calibrated=6, checked=0, seed=seed).calibration_images())

    assert first(0) == first(0)
    assert set(first(0)) != set(first(1))


def test_too_few_images(make_npz):
    with pytest.raises(CalibrationError, match="has 5 images where 6 were asked for"):
        plan(make_npz(5), calibrated=6, checked=3)


@pytest.mark.parametrize("data", ["none", "none.npz", ""])
def test_no_images(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CalibrationError, match="does not exist"):
        plan(data, calibrated=1, checked=0)


@pytest.fixture
def folder(tmp_path, pixels):
    """Ten images, the one that is drawn last is corrupt."""
    root = tmp_path / "photos"
    root.mkdir()
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(root / f"{number}.png")
    drawn = calibration.CalibrationImages(
        calibration.open_source(str(root), size=16, seed=0, samples=10), 10, seed=0
    )
    last = [image.label for image in drawn][-1]
    (root / last).write_bytes(b"no image")
    return str(root)


@pytest.mark.parametrize("calibrated", [0, 6, 8, 9])
def test_a_corrupt_image_beyond_the_calibration_is_no_error(folder, calibrated):
    images = plan(folder, calibrated=calibrated, checked=10 - calibrated)
    assert len(list(images.calibration_images())) == calibrated
    assert len(images.check_images()) == min(9, 10 - calibrated)
    assert len(images.unreadable) == 1


def test_a_corrupt_image_that_is_needed_is_an_error(folder):
    images = plan(folder, calibrated=10, checked=3)
    with pytest.raises(CalibrationError, match="9 readable images where 10 were asked for"):
        list(images.calibration_images())
