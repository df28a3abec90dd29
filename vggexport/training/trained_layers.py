"""The layers that are trained: steps of the descent, and how right they are on other images.

Everything random in an epoch follows from the recipe's seed and the epoch's number, so a training
that was resumed takes the same steps as one that never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from calibration.reading import futures_ahead
from calibration.seeding import generator
from vggexport.formats.keras.model import build_model
from vggexport.network.layers import LOGITS_NAME
from vggexport.network.training_recipe import Recipe
from vggexport.system.process import usable_cores
from vggexport.training.checkpoint import VELOCITY, Tensors
from vggexport.training.divergence import check_loss
from vggexport.training.image_views import CENTRE
from vggexport.training.job import Sample, TrainingJob
from vggexport.training.losses import LOSSES, SOFT_LOSSES

ORDER_KEY, VIEW_KEY, DROPOUT_KEY = range(3)
"""What a generator of random numbers is for, beside the seed and the epoch."""

CHUNK = 8
"""Images whose activations are in memory together where convolutions are trained: 256 at 224x224
are 28 GB. Gradients of the chunks add up to those of the batch."""


class TrainedLayers:
    """The layers that are trained, and the momenta of their tensors."""

    def __init__(self, job: TrainingJob, recipe: Recipe, *, equal_batches: bool = True) -> None:
        self._job, self._recipe, self._equal_batches = job, recipe, equal_batches
        self._model = build_model(job.spec, job.weights, recipe=recipe, after=job.after)
        # The softmax or sigmoid is in the loss: its own logarithm would lose what is below 1e-38.
        self._logits = keras.Model(
            self._model.input, self._model.get_layer(LOGITS_NAME).output, name="logits"
        )
        self._variables = self._logits.trainable_variables
        self._optimizer = keras.optimizers.SGD(recipe.learning_rate, recipe.momentum)
        self._optimizer.build(self._variables)
        # Traced once, for chunks of any length; no branch hangs on a tensor.
        inputs = tf.TensorSpec((None, *self._model.input_shape[1:]), tf.float32)
        chunk = inputs, tf.TensorSpec((None,), tf.int32)
        weighted = *chunk, tf.TensorSpec((), tf.float32)
        self._gradients = tf.function(self._data_gradients, weighted, autograph=False)
        self._apply = tf.function(self._apply_gradients, autograph=False)
        self._whole_step = tf.function(self._take_step, chunk, autograph=False)
        self._forward = tf.function(self._evaluate, chunk, autograph=False)
        self._cross_entropy = LOSSES[job.spec.head_activation]
        self._answers = self._teacher(job)

    @property
    def weights(self) -> Tensors:
        """Trained tensors by native name."""
        return {variable.path: variable for variable in self._variables}

    @property
    def velocities(self) -> Tensors:
        """Their momenta by the same names."""
        momenta = self._optimizer.momentums if self._recipe.momentum else ()
        return dict(zip((v.path for v in self._variables), momenta, strict=False))

    def restore(self, tensors: Tensors) -> None:
        """Takes on the tensors of a checkpoint."""
        for name, variable in self.weights.items():
            variable.assign(tensors[name])
        for name, variable in self.velocities.items():
            variable.assign(tensors[VELOCITY + name])

    def begin_anew(self) -> None:
        """Back to the weights that training began with, at rest."""
        for name, variable in self.weights.items():
            variable.assign(self._job.weights[name])
        for velocity in self.velocities.values():
            velocity.assign(tf.zeros_like(velocity))

    def rescale(self, ratio: float) -> None:
        """Scales the momenta with the learning rate.

        They hold steps already taken at the old rate, which would coast on for ten steps or more:
        many epochs where an epoch is two steps. With v = m v + g and w -= rate v it is the same.
        """
        if ratio != 1:
            for velocity in self.velocities.values():
                velocity.assign(velocity * ratio)

    def learn(self, epoch: int, learning_rate: float) -> float:
        """One epoch of steps.

        Returns:
            The mean loss of the steps.

        Raises:
            DivergedError: The loss is not finite.
        """
        self._optimizer.learning_rate.assign(learning_rate)
        self._seed_dropout(epoch)
        losses = []
        for batch in self._batches(epoch):
            loss = self._step(batch)
            check_loss(loss, "loss", epoch, learning_rate)  # now: an epoch may take hours
            losses.append(loss)
        return float(np.mean(losses))

    def starting_loss(self) -> float:
        """Loss of the first step's images by the weights as they are, without dropout."""
        chunks = next(self._batches(1))
        images = sum(len(targets) for _, targets in chunks)
        data_loss = sum(float(self._forward(*chunk)[0]) for chunk in chunks) / images
        return data_loss + sum(map(float, self._logits.losses))

    def validate(self) -> tuple[float, float]:
        """Mean cross-entropy and share of right answers on the validation images.

        Where they have no classes both are of the teacher's answers.
        """
        sample = self._job.validation
        order = np.arange(len(sample.indices))
        views = np.full(len(order), CENTRE)
        loss = hits = 0.0
        for inputs, targets in self._inputs(sample, order, views, self._room, self._recipe.batch):
            part_loss, part_hits = self._forward(inputs, targets)
            loss += float(part_loss)
            hits += float(part_hits)
        return loss / len(sample.indices), hits / len(sample.indices)

    @property
    def _room(self) -> int:
        """Images that go through the layers together."""
        return self._recipe.batch if self._job.after == self._job.spec.head_input else CHUNK

    def _batches(self, epoch: int) -> Iterator[list[tuple[tf.Tensor, tf.Tensor]]]:
        """The images of an epoch in random order, in batches of chunks.

        Batches are as many as the recipe's size makes, and as equal as can be: of 270 images in
        256 and 14, the 14 would take a step as large as that of all others, and as noisy as theirs.
        """
        sample, recipe = self._job.training, self._recipe
        order = generator(recipe.seed, ORDER_KEY, epoch).permutation(len(sample.indices))
        views = np.full(len(order), epoch)
        if self._job.views:
            random = generator(recipe.seed, VIEW_KEY, epoch)
            views = random.integers(self._job.views, size=len(order))
        count = math.ceil(len(order) / recipe.batch)
        batch = math.ceil(len(order) / count) if self._equal_batches else recipe.batch
        room = min(self._room, batch)
        inputs = self._inputs(sample, order, views, room, batch)
        for start in range(0, len(order), batch):
            images = min(batch, len(order) - start)
            yield [next(inputs) for _ in range(math.ceil(images / room))]

    def _step(self, chunks: Sequence[tuple[tf.Tensor, tf.Tensor]]) -> float:
        """One step of the descent; gives the batch's loss."""
        if len(chunks) == 1:
            return float(self._whole_step(*chunks[0]))
        images = sum(len(targets) for _, targets in chunks)
        loss, gradients = 0.0, None
        for inputs, targets in chunks:
            part, found = self._gradients(inputs, targets, tf.constant(1 / images, tf.float32))
            loss += float(part)
            if gradients is not None:
                found = [a + b for a, b in zip(gradients, found, strict=True)]
            gradients = found
        return loss + float(self._apply(gradients))

    def _take_step(self, inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """The same where the batch is one chunk, without a copy of all gradients."""
        values = [variable.value for variable in self._variables]
        with tf.GradientTape() as tape:
            logits = self._logits(inputs, training=True)
            data_loss = tf.reduce_mean(self._loss(inputs, targets, logits))
            loss = tf.add_n([data_loss, *self._logits.losses])
        self._optimizer.apply(tape.gradient(loss, values), self._variables)
        return loss

    def _loss(self, inputs: tf.Tensor, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Image by image, against the classes or a teacher's answers to the same images."""
        if self._answers is None:
            return self._cross_entropy(targets, logits)
        return SOFT_LOSSES[self._job.spec.head_activation](self._answers(inputs), logits)

    def _teacher(self, job: TrainingJob) -> keras.Model | None:
        """What gives a teacher's logits."""
        if job.teacher is None:
            return None
        model = build_model(job.teacher.spec, job.teacher)
        model.trainable = False
        return keras.Model(model.input, model.get_layer(LOGITS_NAME).output, name="teacher")

    def _data_gradients(
        self, inputs: tf.Tensor, targets: tf.Tensor, weight: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            logits = self._logits(inputs, training=True)
            loss = weight * tf.reduce_sum(self._loss(inputs, targets, logits))
        return loss, tape.gradient(loss, [variable.value for variable in self._variables])

    def _apply_gradients(self, gradients: list[tf.Tensor]) -> tf.Tensor:
        """Adds the gradients of the L2 terms and takes the step."""
        with tf.GradientTape() as tape:
            penalty = tf.add_n(self._logits.losses)
        own = tape.gradient(
            penalty,
            [variable.value for variable in self._variables],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        total = [a + b for a, b in zip(gradients, own, strict=True)]
        self._optimizer.apply(total, self._variables)
        return penalty

    def _evaluate(self, inputs: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits = self._logits(inputs, training=False)
        one_output = self._job.spec.classes == 1
        best = logits[:, 0] >= 0 if one_output else tf.argmax(logits, axis=1)
        hits = tf.equal(tf.cast(best, tf.int32), targets)
        if self._job.unlabelled:
            losses = self._loss(inputs, targets, logits)
        else:
            losses = self._cross_entropy(targets, logits)
        return tf.reduce_sum(losses), tf.reduce_sum(tf.cast(hits, tf.float32))

    def _inputs(
        self,
        sample: Sample,
        order: NDArray[np.integer[Any]],
        views: NDArray[np.integer[Any]],
        room: int,
        batch: int,
    ) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """Inputs and targets, read ahead on all cores, in the order given.

        The last chunk of every batch is as short as the batch leaves it: batches are cut here, too.
        """
        asked = zip(sample.indices[order].tolist(), views.tolist(), strict=True)
        rows = futures_ahead(
            lambda which: sample.read(*which), asked, ahead=2 * room, threads=usable_cores()
        )
        targets = sample.targets[order]
        start = 0
        for length in _chunk_lengths(len(order), batch, room):
            values = np.stack([future.result() for _, future in islice(rows, length)])
            yield tf.constant(values, tf.float32), tf.constant(targets[start : start + length])
            start += length

    def _seed_dropout(self, epoch: int) -> None:
        """Starts the random numbers of every dropout layer anew."""
        layers = [layer for layer in self._logits.layers if isinstance(layer, keras.layers.Dropout)]
        for number, layer in enumerate(layers if self._recipe.dropout else ()):
            state = generator(self._recipe.seed, DROPOUT_KEY, epoch, number).integers(2**32, size=2)
            layer.seed_generator.state.assign(state.astype(np.uint32))


def _chunk_lengths(images: int, batch: int, room: int) -> Iterator[int]:
    """Chunks of at most ``room`` images, none of which goes over the end of a batch."""
    for start in range(0, images, batch):
        left = min(batch, images - start)
        while left:
            length = min(room, left)
            yield length
            left -= length
