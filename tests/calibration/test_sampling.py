import threading

import numpy as np
import pytest
from PIL import Image

from calibration.errors import CalibrationDataError, UnreadableImageError
from calibration.fingerprint import fingerprint
from calibration.reading import READ_AHEAD
from calibration.sampling import CalibrationImages, UnreadableImage
from calibration.sources import SourceImage, open_source


class FakeSource:
    """Numbered images, some of which are unreadable; records what was read, and in which thread."""

    name = "fake"

    def __init__(self, length, unreadable=()):
        self.length = length
        self.unreadable = set(unreadable)
        self.reads = []
        self.threads = set()

    def __len__(self):
        return self.length

    def read(self, index):
        self.reads.append(index)
        self.threads.add(threading.current_thread())
        if index in self.unreadable:
            raise UnreadableImageError(f"#{index}", "torn")
        return SourceImage(f"#{index}", f"digest {index}", np.full((2, 2, 3), index, np.uint8))


def order(length, seed=0):
    """The order in which a seed takes the images, found without unreadable ones."""
    return [
        int(image.label[1:]) for image in CalibrationImages(FakeSource(length), length, seed=seed)
    ]


def delivered(images):
    return [int(image.label[1:]) for image in images]


def test_the_order_is_a_permutation_that_the_seed_determines():
    assert sorted(order(20)) == list(range(20))
    assert order(20) == order(20)
    assert order(20) != order(20, seed=1)
    assert order(20) != list(range(20))


def test_count_images_are_read_and_no_more():
    source = FakeSource(20)
    images = CalibrationImages(source, 6, seed=0)
    assert len(images) == 6
    assert delivered(images) == order(20)[:6]
    assert source.reads == order(20)[:6]


@pytest.mark.parametrize("count", [1, READ_AHEAD, READ_AHEAD + 1])
def test_counts_around_the_read_ahead(count):
    source = FakeSource(count)
    assert len(delivered(CalibrationImages(source, count, seed=0))) == count
    assert len(source.reads) == count


def test_digests_and_fingerprint():
    images = CalibrationImages(FakeSource(8), 3, seed=0)
    digests = tuple(f"digest {index}" for index in order(8)[:3])
    list(images)
    assert images.digests == digests
    assert images.fingerprint == fingerprint(digests)
    assert images.unreadable == ()


def test_the_fingerprint_of_an_unfinished_iteration_is_refused():
    images = CalibrationImages(FakeSource(8), 3, seed=0)
    next(iter(images))
    with pytest.raises(RuntimeError, match="1 of 3 images"):
        _ = images.fingerprint


def test_iterating_again_gives_the_same_images():
    bad = order(30)[1]
    images = CalibrationImages(FakeSource(30, {bad}), 5, seed=0)
    first = (delivered(images), images.digests, images.unreadable, images.fingerprint)
    again = (delivered(images), images.digests, images.unreadable, images.fingerprint)
    assert first == again
    assert len(first[0]) == 5


def test_an_unreadable_image_is_recorded_and_replaced_by_the_next():
    bad = order(30)[2]
    images = CalibrationImages(FakeSource(30, {bad}), 5, seed=0)
    assert delivered(images) == [index for index in order(30)[:6] if index != bad]
    assert images.unreadable == (UnreadableImage(f"#{bad}", "torn"),)


@pytest.mark.parametrize(
    ("count", "fraction", "tolerated"),
    [(5, 0.05, 1), (40, 0.05, 2), (59, 0.05, 2), (5, 0.0, 0), (4, 1.0, 4)],
)
def test_as_many_unreadable_images_as_tolerated(count, fraction, tolerated):
    bad = order(100)[:tolerated]
    images = CalibrationImages(
        FakeSource(100, bad), count, seed=0, max_unreadable_fraction=fraction
    )
    assert delivered(images) == order(100)[tolerated : tolerated + count]
    assert [image.label for image in images.unreadable] == [f"#{index}" for index in bad]


@pytest.mark.parametrize(
    ("count", "fraction", "tolerated"), [(5, 0.05, 1), (40, 0.05, 2), (80, 0.05, 4)]
)
def test_one_more_unreadable_image_is_an_error_that_names_the_first(count, fraction, tolerated):
    bad = order(100)[: tolerated + 1]
    images = CalibrationImages(
        FakeSource(100, bad), count, seed=0, max_unreadable_fraction=fraction
    )
    with pytest.raises(CalibrationDataError) as caught:
        list(images)
    message = str(caught.value)
    assert f"{tolerated + 1} unreadable images where {tolerated} of {count} are" in message
    assert all(f"'#{index}' (torn)" in message for index in bad[:3])
    assert ("and 2 more" in message) == (tolerated == 4)
    assert not isinstance(caught.value, UnreadableImageError)


def test_when_no_image_is_left_for_an_unreadable_one_the_number_to_ask_for_is_told():
    source = FakeSource(10, {order(10)[3]})
    with pytest.raises(CalibrationDataError, match=r"9 readable.*add images$"):
        list(CalibrationImages(source, 10, seed=0))


def test_fewer_will_do_where_they_are_said_to():
    bad = order(10)[3]
    images = CalibrationImages(FakeSource(10, {bad}), 10, seed=0, fewer=True)
    first = delivered(images)
    assert first == [index for index in order(10) if index != bad]
    assert len(images) == 9
    assert images.fingerprint == fingerprint([f"digest {index}" for index in first])
    assert delivered(images) == first
    with pytest.raises(CalibrationDataError, match=r"0 readable images where 1"):
        list(CalibrationImages(FakeSource(1, {0}), 1, seed=0, fewer=True))


def test_when_none_is_readable_no_number_is_suggested():
    with pytest.raises(
        CalibrationDataError, match=r"0 readable images where 1.*; unreadable: .*: add images$"
    ):
        list(CalibrationImages(FakeSource(1, {0}), 1, seed=0))


def test_too_few_images_are_refused_at_once():
    source = FakeSource(7)
    with pytest.raises(CalibrationDataError, match=r"'fake' has 7 images where 8 .*add images$"):
        CalibrationImages(source, 8, seed=0)
    assert source.reads == []


@pytest.mark.parametrize("count", [0, -1])
def test_a_count_below_one_is_refused(count):
    with pytest.raises(CalibrationDataError, match=f"{count} calibration samples: pass 1 or more"):
        CalibrationImages(FakeSource(7), count, seed=0)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_a_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(CalibrationDataError, match="from 0 to 1"):
        CalibrationImages(FakeSource(7), 1, seed=0, max_unreadable_fraction=fraction)


def test_a_negative_seed_is_refused():
    with pytest.raises(CalibrationDataError, match="seed -1"):
        CalibrationImages(FakeSource(7), 1, seed=-1)


def test_reading_happens_in_one_other_thread():
    source = FakeSource(10)
    list(CalibrationImages(source, 10, seed=0))
    assert len(source.threads) == 1
    assert threading.current_thread() not in source.threads


def test_reading_runs_ahead_by_no_more_than_the_limit():
    source = FakeSource(30)
    iterator = iter(CalibrationImages(source, 20, seed=0))
    next(iterator)
    iterator.close()
    assert len(source.reads) <= READ_AHEAD


def test_reading_runs_ahead_while_the_consumer_is_busy():
    second_read = threading.Event()
    source = FakeSource(10)
    read = source.read

    def reading(index):
        if source.reads:
            second_read.set()
        return read(index)

    source.read = reading
    iterator = iter(CalibrationImages(source, 5, seed=0))
    next(iterator)
    assert second_read.wait(timeout=10)
    iterator.close()


def left(before):
    """Threads beyond those that were there, once those that were told to end had time to."""
    further = [thread for thread in threading.enumerate() if thread not in before]
    for thread in further:
        thread.join(5)
    return [thread for thread in further if thread.is_alive()]


def test_no_thread_is_left_when_the_consumer_stops():
    before = threading.enumerate()
    for image in CalibrationImages(FakeSource(30), 20, seed=0):
        during = [thread for thread in threading.enumerate() if thread not in before]
        assert image.pixels.shape == (2, 2, 3)
        break
    assert len(during) == 1
    assert left(before) == []


def test_no_thread_is_left_when_the_consumer_raises():
    def consume():
        for _ in CalibrationImages(FakeSource(30), 20, seed=0):
            raise KeyError("consumer")

    before = threading.enumerate()
    with pytest.raises(KeyError):
        consume()
    assert left(before) == []


@pytest.mark.parametrize("unreadable", [(), range(30)])
def test_no_thread_is_left_at_the_end_or_after_an_error(unreadable):
    before = threading.enumerate()
    images = CalibrationImages(FakeSource(30, unreadable), 20, seed=0)
    if unreadable:
        with pytest.raises(CalibrationDataError):
            list(images)
    else:
        list(images)
    assert left(before) == []


def test_other_errors_of_a_source_are_passed_on():
    source = FakeSource(5)

    def read(index):
        raise MemoryError(index)

    source.read = read
    with pytest.raises(MemoryError):
        list(CalibrationImages(source, 2, seed=0))


def test_a_folder_with_a_damaged_image(tmp_path):
    for index in range(6):
        Image.new("RGB", (9, 9), (index, 0, 0)).save(tmp_path / f"{index}.png")
    (tmp_path / "3.png").write_bytes(b"damaged")
    source = open_source(str(tmp_path), size=8, seed=0, samples=5)
    images = CalibrationImages(source, 5, seed=0)
    assert sorted(image.pixels[0, 0, 0] for image in images) == [0, 1, 2, 4, 5]
    assert [image.label for image in images.unreadable] in ([], ["3.png"])


def test_synthetic_images_are_sampled_completely():
    source = open_source("synthetic", size=8, seed=3, samples=5)
    labels = {image.label for image in CalibrationImages(source, 5, seed=3)}
    assert labels == {"#0", "#1", "#2", "#3", "#4"}
