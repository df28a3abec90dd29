"""Which images calibrate, and which check."""

import numpy as np
import pytest
from PIL import Image

import calibration
from vggexport.errors import CalibrationError
from vggexport.opening.calibration_images import CalibrationOptions, ImagePlan


def plan(data, *, calibrated, checked, seed=0, **more):
    options = CalibrationOptions(data=data, method="minmax", seed=seed)
    return ImagePlan(options, 16, calibrated=calibrated, checked=checked, **more)


def keys(images):
    return [image.tobytes() for image in images]


def test_check_images_are_unseen_when_there_are_enough(make_npz):
    images = plan(make_npz(10), calibrated=6, checked=3)
    seen, checks = keys(images.calibration_images()), keys(images.check_images())
    assert (len(seen), len(checks)) == (6, 3)
    assert len(set(seen + checks)) == 9


def test_as_many_unseen_as_there_are(make_npz):
    """Nine images: one unseen, and two synthetic ones."""
    images = plan(make_npz(9), calibrated=8, checked=3, synthetic=2)
    seen, checks = keys(images.calibration_images()), keys(images.check_images())
    assert (len(seen), len(checks), images.is_short) == (8, 3, False)
    assert not set(checks) & set(seen)
    assert checks[1:] == keys([calibration.varied_image(1, index, 16) for index in (0, 1)])


@pytest.mark.parametrize(("asked_for", "held_out"), [(10, 1), (12, 1), (9, 0)])
def test_one_in_eight_is_held_out_where_all_were_to_calibrate(make_npz, asked_for, held_out):
    images = plan(make_npz(10), calibrated=asked_for, checked=3, synthetic=1)
    seen, checks = keys(images.calibration_images()), keys(images.check_images())
    assert (len(seen), images.held_out, images.is_short) == (9, held_out, bool(held_out))
    assert len(checks) == 2
    assert not set(checks) & set(seen)


def test_too_few_images_to_hold_one_out(make_npz):
    images = plan(make_npz(7), calibrated=8, checked=8, synthetic=2)
    assert len(keys(images.calibration_images())) == images.calibrated == 7
    assert len(images.check_images()) == 2


def test_unreadable_images_without_others_leave_fewer_to_calibrate(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 20, 30, 3), dtype=np.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    (tmp_path / "6.png").write_bytes(b"")
    images = plan(str(tmp_path), calibrated=8, checked=8, synthetic=2)
    assert len(keys(images.calibration_images())) == images.calibrated == 6
    assert (len(images.check_images()), images.record().samples) == (2, 6)


def test_images_that_ranges_were_taken_from_do_not_check(make_npz):
    data = make_npz(10)
    calibrating = plan(data, calibrated=6, checked=0)
    seen = keys(calibrating.calibration_images())
    checking = plan(data, calibrated=0, checked=8, seen=calibrating.record().image_digests)
    checks = keys(checking.check_images())
    assert len(checks) == 4
    assert not set(checks) & set(seen)


FLAT = np.repeat(np.arange(0, 250, 50, dtype=np.uint8), 16 * 16 * 3).reshape(5, 16, 16, 3)
NOISE = np.random.default_rng(3).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (0 * NOISE, r"has pixels 0\.\.\.0 only"),
        (NOISE // 255, r"has pixels 0\.\.\.1 only"),
        (NOISE // 17 + 100, r"has pixels 100\.\.\.115 only"),
        (FLAT, "has images of one colour each"),
        (NOISE[[0, 0, 0, 0, 0]], "has one image only"),
        (NOISE[:1], "has one image only"),
        (NOISE[:1] // 2 + NOISE // 64, "has one image only, or nearly the same"),
    ],
)
def test_images_that_no_range_can_be_taken_from_are_refused(tmp_path, images, said):
    """Before any is run."""
    np.savez(tmp_path / "useless.npz", images=images)
    with pytest.raises(CalibrationError, match=f"useless.npz' {said}.*pass photographs"):
        plan(str(tmp_path / "useless.npz"), calibrated=5, checked=0)


def test_no_more_images_are_looked_at_than_it_takes(make_npz, monkeypatch):
    looked_at = []

    class Counted(calibration.Spread):
        def add(self, pixels):
            looked_at.append(pixels)
            super().add(pixels)

    monkeypatch.setattr(calibration, "Spread", Counted)
    plan(make_npz(10), calibrated=6, checked=3)
    assert len(looked_at) == 2


def test_checks_alone(make_npz, pixels):
    images = plan(make_npz(10), calibrated=0, checked=4)
    assert list(images.calibration_images()) == []
    checks = images.check_images()
    assert checks.shape == (4, 16, 16, 3)
    assert checks.dtype == np.uint8
    assert set(keys(checks)) <= set(keys(pixels))


def test_calibration_alone(make_npz, pixels):
    images = plan(make_npz(10), calibrated=9, checked=0)
    assert len(set(keys(images.calibration_images())) & set(keys(pixels))) == 9


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
    images = plan(folder, calibrated=calibrated, checked=10 - calibrated, synthetic=1)
    assert len(list(images.calibration_images())) == calibrated
    assert len(images.check_images()) == 9 - calibrated + 1
    assert len(images.unreadable) == 1


def test_a_corrupt_image_that_was_to_be_held_out_is_no_error(folder):
    images = plan(folder, calibrated=10, checked=3, synthetic=1)
    assert len(list(images.calibration_images())) == 9
    assert len(images.check_images()) == 1
