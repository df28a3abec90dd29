"""Evaluation over Ray: the counts of the local run, also when a worker dies on the way."""

import dataclasses
import os
import shutil
import signal
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import ray

import vggexport
from vggexport.errors import CalibrationError, InputError, Unavailable, Unfinished
from vggexport.network.pictures import UNSTATED
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.opening.models import open_models
from vggexport.opening.run_options import RunOptions
from vggexport.precision import Precision
from vggexport.system.progress import Progress, Steps
from vggexport.workflows.build.options import BuildOptions, FileOptions
from vggexport.workflows.evaluate import predictions, ray_engine
from vggexport.workflows.evaluate import run as evaluating
from vggexport.workflows.evaluate.predictions import EngineOptions
from vggexport.workflows.evaluate.run import EvaluateOptions

OVER_RAY = EngineOptions("ray", workers=2)
ONE_WORKER = EngineOptions("ray", workers=1)
"""Where it makes no difference that there are several: each is a process that starts in seconds."""

# Ray and what it brings warn of their own affairs in the processes and threads that they start.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """One for all tests: starting it takes seconds. Workers know the code as this process does."""
    paths = [str(Path(__file__).parents[3])]
    ray.data.DataContext.get_current().enable_progress_bars = False
    ray.init(
        "local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(paths)}},
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def built(network, photographs, tmp_path_factory) -> Path:
    """float32, and int8 calibrated on four of the images."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "labels.txt").write_text("\n".join(("eel", "dog", "cat", "bee", "ant")))
    named = dataclasses.replace(network, labels=folder / "labels.txt")
    data, unchecked = CalibrationOptions(str(photographs), samples=4), BuildOptions(check=False)
    for name, precision in (("f.onnx", Precision.FLOAT32), ("i.onnx", Precision.INT8)):
        vggexport.build(named, data, FileOptions("onnx", folder / name, precision), unchecked)
    return folder


@pytest.fixture
def files(built, tmp_path, monkeypatch):
    """Copies of them in the working directory."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return str(tmp_path / "f.onnx"), str(tmp_path / "i.onnx")


def evaluated(*artifacts, data, **options):
    return vggexport.evaluate(EvaluateOptions(artifacts, data, **options))


def assert_same(found, expected):
    assert (found.images, found.unreadable) == (expected.images, expected.unreadable)
    for mine, theirs in zip(found.results, expected.results, strict=True):
        np.testing.assert_array_equal(mine.accuracy.confusion, theirs.accuracy.confusion)
        np.testing.assert_array_equal(mine.accuracy.top5_hits, theirs.accuracy.top5_hits)
        assert mine.comparison == theirs.comparison
        assert mine.seen == theirs.seen


def test_its_counts_are_those_of_the_local_run(files, labelled):
    (labelled / "cat" / "3.png").write_bytes(b"no image")
    local = evaluated(*files, data=labelled)
    spread = evaluated(*files, data=labelled, engine=OVER_RAY)
    assert_same(spread, local)
    assert spread.results[1].seen in {3, 4}  # one of them may be the damaged one
    assert (spread.engine, local.engine) == (f"ray {ray.__version__}", "local")
    with pytest.raises(CalibrationError, match="was calibrated on"):
        evaluated(files[1], data=labelled, engine=ONE_WORKER, strict=True)


def test_paths_do_not_hang_on_the_working_directory(files, labelled):
    """The cluster was started in another one, as one on other machines would be."""
    Path("t.csv").write_text("image,label\nant/0.png,ant\ncat/1.png,cat\n")
    options = {"data": Path(labelled.name), "table": Path("t.csv")}
    assert files[0].endswith("f.onnx")
    assert_same(evaluated("f.onnx", **options, engine=ONE_WORKER), evaluated("f.onnx", **options))


def opened(files, labelled, worker, over=OVER_RAY):
    """What an engine with this kind of worker answers, beside the local one."""
    options = EvaluateOptions(files[:1], labelled)
    steps = Steps(Progress())
    with ExitStack() as entered:
        models = open_models(entered, files[:1], RunOptions(), steps)
        given = evaluating._open_data(options)
        images = evaluating._order_images(given, options, models, UNSTATED, steps)
        local = predictions.LocalEngine(EngineOptions()).answer(models, images, steps)
        engine = ray_engine.RayEngine(over, worker)
        return local, lambda: engine.answer(models, images, steps)


def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(files, labelled, tmp_path):
    marker = tmp_path / "killed"

    class Dying(ray_engine.Worker):
        """Is killed in the middle of its second batch, once in all."""

        def __call__(self, batch):
            answers = super().__call__(batch)
            if 12 in answers["index"] and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return answers

    local, answer = opened(files, labelled, Dying)
    spread = answer()
    assert marker.exists()
    np.testing.assert_array_equal(spread.answers[0].best, local.answers[0].best)
    np.testing.assert_array_equal(spread.readable, local.readable)


def test_workers_are_asked_about_the_same_batches_as_the_local_run(files, labelled, tmp_path):
    """Another batch may round otherwise, and two near answers change places."""
    for number in (4, 5):
        for place in labelled.glob(f"*/{number}.png"):
            place.unlink()
    folder = tmp_path / "batches"
    folder.mkdir()

    class Telling(ray_engine.Worker):
        def __call__(self, batch):
            answers = super().__call__(batch)
            (folder / f"{answers['index'][0]:02}-{answers['index'][-1]:02}").touch()
            return answers

    _, answer = opened(files, labelled, Telling)
    answer()
    assert sorted(path.name for path in folder.iterdir()) == ["00-07", "08-15", "16-19"]


@pytest.mark.parametrize("times", [0, 2])
def test_answers_that_are_lost_or_come_twice_are_an_error(files, labelled, times):
    class Wrong(ray_engine.Worker):
        """Gives the answer for one image not at all, or twice."""

        def __call__(self, batch):
            answers = super().__call__(batch)
            repeats = np.where(answers["index"] == 5, times, 1)
            return {name: np.repeat(column, repeats, axis=0) for name, column in answers.items()}

    _, answer = opened(files, labelled, Wrong, ONE_WORKER)
    with pytest.raises(Unfinished, match=rf"1 images were not answered .* \({times} times\)"):
        answer()


def test_address_and_workers_are_for_ray(files, labelled):
    with pytest.raises(InputError, match="are a cluster's: add engine ray"):
        evaluated(files[0], data=labelled, engine=EngineOptions(address="auto"))


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:9", "ray://127.0.0.1:9", "nonsense"])
def test_no_cluster_is_unavailable(address):
    ray.shutdown()
    with (
        pytest.raises(Unavailable, match=f"no Ray cluster at {address}"),
        ray_engine._cluster(address),
    ):
        pytest.fail("there is one")
