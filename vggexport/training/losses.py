"""What a network is trained to make small, by what its head ends in; the L2 terms come besides."""

from __future__ import annotations

import tensorflow as tf

from vggexport.network.head import HeadActivation


def _categorical(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Multinomial logistic regression, image by image."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)


def _binary(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy, image by image: the mean over the outputs, as Keras has it."""
    one_output = logits.shape[1] == 1
    wanted = targets[:, None] if one_output else tf.one_hot(targets, logits.shape[1])
    losses = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(wanted, tf.float32), logits)
    return tf.reduce_mean(losses, axis=1)


def _soft_categorical(answers: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of a teacher's softmax, image by image."""
    return tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(answers), logits)


def _soft_binary(answers: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy of a teacher's sigmoid, the mean over the outputs."""
    losses = tf.nn.sigmoid_cross_entropy_with_logits(tf.sigmoid(answers), logits)
    return tf.reduce_mean(losses, axis=1)


LOSSES = {HeadActivation.SOFTMAX: _categorical, HeadActivation.SIGMOID: _binary}
SOFT_LOSSES = {
    HeadActivation.SOFTMAX: _soft_categorical,
    HeadActivation.SIGMOID: _soft_binary,
}
