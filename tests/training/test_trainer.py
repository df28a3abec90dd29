"""The loop: what a step is in numpy, how chunks add up, and that a resumed training is the same."""

import dataclasses
import itertools

import numpy as np
import pytest

import calibration
from vggexport.errors import OutputError, Unfinished
from vggexport.network.head import HeadActivation, fully_connected
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks
from vggexport.network.training_recipe import PAPER
from vggexport.training import trained_layers, trainer
from vggexport.training.checkpoint import RESTART_DIVISOR, VELOCITY, Checkpoint, Course
from vggexport.training.image_views import Views
from vggexport.training.job import Sample, TrainingJob

SPEC = VGGSpec(
    "tiny",
    parse_blocks("conv3-4 | conv3-6"),
    classes=3,
    hidden=fully_connected(8, 8),
    input_size=(16, 16),
)
IDENTITY = {"network": SPEC.to_json()}
CALM = dataclasses.replace(PAPER, learning_rate=1e-3, batch=6, epochs=4, patience=100, restarts=0)


@pytest.fixture(scope="module")
def weights(make_weights):
    return make_weights(SPEC)


@pytest.fixture(scope="module")
def features():
    """Inputs of fc1 for 20 images: noise, and a direction for each class."""
    random = np.random.default_rng(0)
    targets = np.arange(20, dtype=np.int32) % 3
    centres = random.standard_normal((3, 96))
    return (centres[targets] + 0.5 * random.standard_normal((20, 96))).astype(np.float32), targets


@pytest.fixture
def make_head(weights, features):
    """A job for the fully connected layers."""
    inputs, targets = features

    def read(index, view):
        return inputs[index] * (1 + view)

    def make(training=range(14), validation=range(14, 20), views=1):
        parts = [np.array(part) for part in (training, validation)]
        samples = [Sample(part, targets[part], read) for part in parts]
        return TrainingJob(SPEC, SPEC.head_input, weights, views, *samples)

    return make


@pytest.fixture
def make_whole(weights, source, labelled):
    """A job for all layers, from images."""
    targets = calibration.open_labelled(labelled, size=16).targets

    def make(recipe):
        read = Views(source, recipe).pixels
        parts = np.arange(0, 24, 2), np.arange(1, 24, 2)
        samples = [Sample(part, targets[part], read) for part in parts]
        return TrainingJob(SPEC, None, weights, 0, *samples)

    return make


def run(job, recipe, folder, epochs=None, **options):
    """The course after some epochs, and the checkpoint that is left of it."""
    checkpoint = Checkpoint(folder, IDENTITY)
    courses = trainer.train(job, Course.begin(recipe), checkpoint, **options)
    *_, course = itertools.islice(courses, epochs)
    return course, checkpoint.load(recipe)[1]


def test_a_step_is_that_of_numpy(make_head, weights, features, tmp_path):
    """Epochs of one step each, without dropout, the rate divided on the way: all written out."""
    recipe = dataclasses.replace(CALM, batch=20, dropout=0.0, weight_decay=0.01, patience=1)
    course, found = run(make_head(), recipe, tmp_path)
    names = [name for name in found if not name.startswith(VELOCITY)]
    assert len(names) == 6
    w = {name: weights[name].astype(np.float64) for name in names}
    v = {name: np.zeros_like(array) for name, array in w.items()}
    x, t = features[0][:14].astype(np.float64), features[1][:14]
    losses, rates = [], [epoch.learning_rate for epoch in course.history]
    assert min(rates) < max(rates)
    for rate, before in zip(rates, [rates[0], *rates], strict=False):
        loss, gradients = _loss_and_gradients(w, x, t, 0.01)
        losses.append(loss)
        for name in names:
            v[name] = 0.9 * v[name] * rate / before - rate * gradients[name]
            w[name] = w[name] + v[name]
    # float32 sums of 96 products against float64
    assert [epoch.loss for epoch in course.history] == pytest.approx(losses, rel=1e-5)
    for name in names:
        np.testing.assert_allclose(found[name], w[name], atol=1e-6)


def _loss_and_gradients(w, x, t, decay):
    h1 = np.maximum(x @ w["fc1/kernel"] + w["fc1/bias"], 0)
    h2 = np.maximum(h1 @ w["fc2/kernel"] + w["fc2/bias"], 0)
    z = h2 @ w["predictions/kernel"] + w["predictions/bias"]
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    loss = -np.log(p[np.arange(len(t)), t]).mean()
    kernels = [w[f"{layer}/kernel"] for layer in ("fc1", "fc2", "predictions")]
    loss += decay * sum((kernel**2).sum() for kernel in kernels)
    dz = (p - np.eye(3)[t]) / len(t)
    d2 = (dz @ w["predictions/kernel"].T) * (h2 > 0)
    d1 = (d2 @ w["fc2/kernel"].T) * (h1 > 0)
    gradients = {}
    for layer, inputs, d in (("predictions", h2, dz), ("fc2", h1, d2), ("fc1", x, d1)):
        gradients[f"{layer}/kernel"] = inputs.T @ d + 2 * decay * w[f"{layer}/kernel"]
        gradients[f"{layer}/bias"] = d.sum(0)
    return loss, gradients


def test_it_learns(make_head, tmp_path):
    recipe = dataclasses.replace(CALM, learning_rate=0.02, epochs=30, dropout=0.2)
    course, _ = run(make_head(), recipe, tmp_path)
    assert course.history[-1].loss < 0.7 * course.history[0].loss
    assert course.best.validation_accuracy >= 5 / 6


def test_wrong_targets_are_not_learnt(make_head, tmp_path):
    """The same, judged by targets that are all another class."""
    recipe = dataclasses.replace(CALM, learning_rate=0.02, epochs=30, dropout=0.2)
    job = make_head()
    swapped = dataclasses.replace(job.validation, targets=(job.validation.targets + 1) % 3)
    course, _ = run(dataclasses.replace(job, validation=swapped), recipe, tmp_path)
    assert course.history[-1].validation_accuracy <= 1 / 6


def test_resumed_after_an_epoch_it_gives_the_same_weights(make_head, tmp_path):
    job = make_head(views=2)
    whole, expected = run(job, CALM, tmp_path / "whole")
    run(job, CALM, tmp_path / "parts", epochs=2)
    checkpoint = Checkpoint(tmp_path / "parts", IDENTITY)
    course, restored = checkpoint.load(CALM)
    assert len(course.history) == 2
    *_, course = trainer.train(job, course, checkpoint, restored=restored)
    found = checkpoint.load(CALM)[1]
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, atol=1e-6)  # the figure
    assert [e.loss for e in course.history] == pytest.approx([e.loss for e in whole.history])


def test_the_seed_of_an_epoch_is_not_that_of_another(make_head, tmp_path):
    """Resumed as if it were the first epoch again, the weights are others."""
    job = make_head(views=2)
    _, expected = run(job, CALM, tmp_path / "whole")
    _, restored = run(job, CALM, tmp_path / "parts", epochs=2)
    _, found = run(job, CALM, tmp_path / "again", epochs=2, restored=restored)
    assert np.abs(found["fc1/kernel"] - expected["fc1/kernel"]).max() > 1e-5


def test_convolutions_learn_in_chunks_that_add_up(make_whole, tmp_path, monkeypatch):
    recipe = dataclasses.replace(CALM, learning_rate=1e-4, dropout=0.0, epochs=2, batch=12)
    _, expected = run(make_whole(recipe), recipe, tmp_path / "whole")
    monkeypatch.setattr(trained_layers, "CHUNK", 5)  # the batch was two chunks of 8 and 4
    _, found = run(make_whole(recipe), recipe, tmp_path / "chunks")
    monkeypatch.setattr(trained_layers, "CHUNK", 12)
    _, at_once = run(make_whole(recipe), recipe, tmp_path / "at_once")
    assert any(name.startswith("block1_conv1") for name in found)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, atol=1e-5)  # another order of summation
        np.testing.assert_allclose(at_once[name], array, atol=1e-5)


def test_a_loss_that_is_not_finite_stops_with_advice(make_head, tmp_path):
    recipe = dataclasses.replace(CALM, learning_rate=1e30)
    with pytest.raises(Unfinished, match=r"the training diverged: try learning_rate 1e\+29"):
        run(make_head(), recipe, tmp_path)


def test_what_the_last_step_blew_up_is_not_kept(make_head, tmp_path):
    """One step of one epoch: its loss is finite, the weights behind it are not of any use."""
    recipe = dataclasses.replace(CALM, learning_rate=1e30, batch=20, epochs=1)
    with pytest.raises(Unfinished, match=r"the validation loss is .* in epoch 1: the train"):
        run(make_head(), recipe, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_a_loss_that_is_not_finite_stops_at_once(make_head, tmp_path, monkeypatch):
    steps = []

    def step(_trainee, chunks):
        steps.append(len(chunks))
        return float("nan")

    monkeypatch.setattr(trained_layers.TrainedLayers, "_step", step)
    with pytest.raises(Unfinished, match="the loss is nan in epoch 1"):
        run(make_head(), CALM, tmp_path)
    assert len(steps) == 1  # of three


@pytest.mark.parametrize(
    ("batch", "sizes"), [(6, [5, 5, 4]), (13, [7, 7]), (14, [14]), (256, [14]), (1, [1] * 14)]
)
def test_batches_of_an_epoch_are_as_equal_as_can_be(make_head, batch, sizes):
    """Two of 7, where 13 and 1 would make one image as heavy as all others."""
    layers = trained_layers.TrainedLayers(make_head(), dataclasses.replace(CALM, batch=batch))
    found = [[len(targets) for _, targets in chunks] for chunks in layers._batches(1)]
    assert [sum(chunks) for chunks in found] == sizes


def test_a_training_that_diverges_begins_anew_as_if_never_begun(make_head, tmp_path):
    """At a third of the rate until it holds: the same weights as of that rate from the first."""
    recipe = dataclasses.replace(CALM, learning_rate=30.0, restarts=8)
    course, found = run(make_head(), recipe, tmp_path / "anew")
    assert 1 <= course.restarts <= recipe.restarts
    rate = course.history[0].learning_rate
    assert rate == pytest.approx(recipe.learning_rate / RESTART_DIVISOR**course.restarts)
    assert [epoch.number for epoch in course.history] == [1, 2, 3, 4]
    assert {epoch.learning_rate for epoch in course.history} == {rate}
    calm = dataclasses.replace(recipe, learning_rate=rate, restarts=0)
    _, other = run(make_head(), calm, tmp_path / "calm")
    assert found.keys() == other.keys()
    for name in found:
        np.testing.assert_array_equal(found[name], other[name])


def test_a_training_that_has_begun_anew_is_resumed(make_head, tmp_path):
    recipe = dataclasses.replace(CALM, learning_rate=30.0, restarts=8)
    whole, found = run(make_head(), recipe, tmp_path / "whole")
    checkpoint = Checkpoint(tmp_path / "part", IDENTITY)
    for part in trainer.train(make_head(), Course.begin(recipe), checkpoint):
        if (part.restarts, len(part.history)) == (whole.restarts, 2):
            break
    course, tensors = checkpoint.load(recipe)
    assert (course.restarts, course.history) == (whole.restarts, part.history)
    *_, course = trainer.train(make_head(), course, checkpoint, restored=tensors)
    assert [e.loss for e in course.history] == [e.loss for e in whole.history]
    for name, array in checkpoint.load(recipe)[1].items():
        np.testing.assert_array_equal(array, found[name])


def test_a_loss_far_above_that_of_the_beginning_has_diverged(make_head, tmp_path, monkeypatch):
    """Finite, and of no use: twice the loss of guessing above what the weights began with."""
    losses, layers = iter([1.0, 4.1, 4.2]), trained_layers.TrainedLayers  # 2 + 2 ln(3) is 4.197
    monkeypatch.setattr(layers, "starting_loss", lambda _layers: 2.0)
    monkeypatch.setattr(layers, "learn", lambda *_arguments: next(losses))
    course = Course.begin(dataclasses.replace(CALM, restarts=1))
    *_, course = itertools.islice(trainer.train(make_head(), course, Checkpoint(tmp_path)), 3)
    assert (course.restarts, course.history) == (1, ())


@pytest.mark.parametrize("index", [3, 17])
def test_an_image_that_is_gone_is_named(make_head, tmp_path, capfd, index):
    """To learn from and to judge by; TensorFlow would print a traceback."""
    job = make_head()

    def read(asked, view):
        if asked == index:
            raise calibration.UnreadableImageError("ant/3.png", "it is gone")
        return job.training.read(asked, view)

    parts = (dataclasses.replace(part, read=read) for part in (job.training, job.validation))
    training, validation = parts
    lost = dataclasses.replace(job, training=training, validation=validation)
    with pytest.raises(calibration.UnreadableImageError, match=r"ant/3\.png"):
        run(lost, CALM, tmp_path)
    assert "Traceback" not in capfd.readouterr().err


def test_a_place_where_no_logs_can_be_is_refused(make_head, tmp_path):
    (tmp_path / "logs").write_text("no folder")
    for place in (tmp_path / "logs", tmp_path / "logs" / "below"):
        with pytest.raises(OutputError, match=r"logs cannot be written to .*name another log_dir"):
            run(make_head(), CALM, tmp_path / "c", log_dir=place)


def test_logs_for_tensorboard(make_head, tmp_path):
    run(make_head(), CALM, tmp_path / "c", epochs=2, log_dir=tmp_path / "logs")
    (events,) = (tmp_path / "logs").glob("events.out.tfevents*")
    content = events.read_bytes()
    assert content.count(b"validation_accuracy") >= 2


@pytest.mark.parametrize(
    ("images", "batch", "room", "lengths"),
    [(14, 6, 6, [6, 6, 2]), (14, 6, 4, [4, 2, 4, 2, 2]), (3, 256, 8, [3]), (8, 8, 1, [1] * 8)],
)
def test_no_chunk_goes_over_the_end_of_a_batch(images, batch, room, lengths):
    assert list(trained_layers._chunk_lengths(images, batch, room)) == lengths


@pytest.mark.parametrize("classes", [1, 3])
def test_the_loss_of_a_sigmoid_is_binary_cross_entropy(make_weights, features, classes):
    """In numpy, as Keras has it: the mean over the outputs. One output is right from 0.5 on."""
    spec = dataclasses.replace(
        SPEC, classes=classes, hidden=(), head_activation=HeadActivation.SIGMOID
    )
    weights = make_weights(spec)
    inputs, targets = features[0], features[1] % 2 if classes == 1 else features[1]
    sample = Sample(np.arange(20), targets, lambda index, _: inputs[index])
    job = TrainingJob(spec, spec.head_input, weights, 1, sample, sample)
    layers = trained_layers.TrainedLayers(job, CALM)
    logits = inputs.astype(np.float64) @ weights["predictions/kernel"] + weights["predictions/bias"]
    wanted = targets[:, None] if classes == 1 else np.eye(classes)[targets]
    p = 1 / (1 + np.exp(-logits))
    expected = -(wanted * np.log(p) + (1 - wanted) * np.log(1 - p)).mean()
    best = p[:, 0] >= 0.5 if classes == 1 else p.argmax(1)
    loss, accuracy = layers.validate()
    assert loss == pytest.approx(expected, rel=1e-4)
    assert accuracy == pytest.approx(np.mean(best == targets))
    for epoch in range(1, 30):
        layers.learn(epoch, 0.05)
    learnt, accuracy = layers.validate()
    assert learnt < 0.5 * loss
    assert accuracy == 1.0
