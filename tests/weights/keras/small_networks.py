"""A network of one convolution, around what a test tries."""

import keras
from keras import layers

SHAPE = (12, 8, 3)


def convolution(**options):
    return layers.Conv2D(4, **{"kernel_size": 3, "padding": "same", "activation": "relu"} | options)


def network(*members, front=(), head=None):
    """One convolution, what is tried, and a head."""
    head = head or [layers.Flatten(), layers.Dense(3, activation="softmax")]
    return keras.Sequential([keras.Input(SHAPE), *front, convolution(), *members, *head])
