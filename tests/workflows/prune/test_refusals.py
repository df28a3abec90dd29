"""Budgets, images and disks that allow no pruning."""

import errno
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.recorded_progress import Recorded
from vggexport.errors import CalibrationError, InputError, OutputError, Unfinished, WeightsError
from vggexport.opening.network import NetworkOptions


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"plan": True, "front": True}, InputError, "a plan makes no network"),
        ({"latency": 1.5}, InputError, "1.5 is no share of the original network's"),
        ({"latency": 0.5, "target_sqnr": 9.0}, InputError, "as narrow as that allows"),
        ({}, InputError, "no budget is given"),
        ({"speedup": 2.0, "target_sqnr": 10.0}, InputError, "as narrow as that allows"),
        ({"speedup": 2.0, "output": Path("x.npz")}, OutputError, "written as .safetensors"),
        (
            {"speedup": 500.0},
            InputError,
            "500x is out of reach: narrower convolutions give at most",
        ),
        ({"max_size": 1000}, InputError, "0.001 MB is out of reach"),
        ({"target_sqnr": 90.0}, InputError, "no narrower network is expected to keep 90 dB"),
        ({"speedup": 2.0, "calibration_data": "synthetic"}, InputError, "synthetic images"),
        ({"speedup": 2.0, "calibration_samples": 1}, CalibrationError, "block2_conv1 needs 7"),
        (
            {"speedup": 2.0, "calibration_samples": 999},
            CalibrationError,
            "999 were asked for, and none is left to measure on: pass fewer with",
        ),
        ({"speedup": 2.0, "network": NetworkOptions("random:0")}, WeightsError, "not trained"),
    ],
)
def test_what_cannot_be_done_is_said(options, error, said, prune, monkeypatch):
    monkeypatch.setattr("vggexport.workflows.prune.images.FEWEST_ROWS", 3)
    with pytest.raises(error, match=said):
        prune(**options)
    assert not Path("narrow.safetensors").exists()


def test_a_full_disk_and_a_folder_that_cannot_be_made_are_told(prune, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.posix_fallocate", full)
        for way in ({"speedup": 2.0}, {"plan": True}):
            notes = Recorded()
            with pytest.raises(Unfinished, match="the disk of kept is full: make room there"):
                prune(progress=notes, **way, cache_dir=Path("kept"))
            assert "kept keeps what was computed so far: the same command goes on with it" in (
                notes.facts
            )
    Path("file").touch()
    with pytest.raises(OutputError, match=r"file cannot be written: .*another folder with"):
        prune(plan=True, cache_dir=Path("file"))


def test_images_that_are_all_alike_are_refused(prune):
    pixels = np.zeros((60, 16, 16, 3), np.uint8)
    pixels[30:] = np.random.default_rng(4).integers(0, 256, (16, 16, 3))
    np.savez("alike.npz", images=pixels)
    with pytest.raises(CalibrationError, match="1 of 48 images are not the same as another"):
        prune(speedup=2.0, calibration_data="alike.npz")


def test_unreadable_pictures_are_left_out_until_none_is_left_to_measure_on(prune, folder):
    Path("photos").mkdir()
    with np.load(folder / "images.npz") as held:
        for number, pixels in enumerate(held["images"]):
            Image.fromarray(pixels).save(f"photos/{number:02}.png")
    for number in range(0, 60, 5):
        Path(f"photos/{number:02}.png").write_bytes(b"")
    choice = {"plan": True, "calibration_data": "photos"}
    with pytest.raises(CalibrationError, match=r"where 2 of 48 are tolerated.*max_unreadable"):
        prune(**choice)
    with pytest.raises(
        CalibrationError, match=r"12 unreadable images, and .* the 48 .*pass fewer with calib"
    ):
        prune(**choice, max_unreadable=0.3)
    report = prune(**choice, max_unreadable=0.3, calibration_samples=40)
    assert (report.images, len(report.unreadable)) == (40, 12)
    assert report.to_json()["unreadable"] == [*report.unreadable]
