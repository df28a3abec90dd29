"""The described network as far as it has been read, and what may come next.

Each method is one thing that a layer can do. Affine maps by channel fold into the layer before
while no activation stands between, else into the next dense layer; in front of the first
convolution they are preprocessing. A convolution pads its input with zeros, so an affine map that
follows a ReLU cannot be folded into it: it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from vggexport.weights.keras.affine import Affine
from vggexport.weights.keras.settings import Settings
from vggexport.weights.stored import StoredTensor

CHANNELS = 3


@dataclass(eq=False)
class Weighted:
    """A convolution or dense layer, and what is folded into it.

    Attributes:
        layer: Its description.
        kernel: HWIO, or (inputs, outputs).
        bias: (outputs,), or None.
        before: Folded into its inputs; dense layers alone.
        after: Folded into its outputs.
        relu: Whether a ReLU follows.
    """

    layer: Settings
    kernel: StoredTensor
    bias: StoredTensor | None
    before: Affine | None = None
    after: Affine | None = None
    relu: bool = False


class Chain:
    """What was read. Methods raise :class:`WeightsError` for what cannot follow.

    The default size is the height and width where the file leaves them open.

    Attributes:
        size: Height and width of the images as described, None where open.
        input_size: The same when a convolution was met, none of them open.
        map_size: The same of the last layer's output.
        channels: Of the last layer's output; its units after ``flatten``.
        front: Preprocessing, by channel of the network.
        preprocesses: Whether anything but a batch normalization was met in front.
        order: The channel of the RGB image that each channel of the network is.
        blocks: The convolutions, block by block.
        pooled: Whether a max pooling ends each block.
        pooling: How the head begins: "flatten", "average", "max"; "" while it has not.
        head: The dense layers.
        flat: Whether the last layer's output is a vector.
        activation: What ends the network, "" while nothing does.
    """

    def __init__(self, default_size: tuple[int, int] | None = None) -> None:
        self.size: tuple[int | None, int | None] = (None, None)
        self.input_size = self.map_size = (0, 0)
        self.channels = CHANNELS
        self.front = Affine.identity(CHANNELS)
        self.preprocesses = False
        self.order: tuple[int, ...] = tuple(range(CHANNELS))
        self.blocks: list[list[Weighted]] = []
        self.pooled: list[bool] = []
        self.pooling = ""
        self.head: list[Weighted] = []
        self.activation = ""
        self.flat = False
        self._default_size = default_size or (None, None)
        self._padded: tuple[Settings, int] | None = None
        self._open = False  # the last layer with weights has had no activation yet
        self._maximum = False  # a maximum was taken since
        self._pending: tuple[Settings, Affine] | None = None  # to fold into the next dense layer

    @property
    def in_front(self) -> bool:
        """Whether no layer with weights was met."""
        return not self.blocks and not self.head

    def input(self, layer: Settings, height: int | None, width: int | None, channels: int) -> None:
        """An input of some shape: the network's, or one of a model inside it."""
        if not self.in_front:
            return
        if channels != CHANNELS:
            raise layer.refused(f"{channels} channels", "an image of 3 channels is expected, RGB")
        told = (height, width)
        if any(a and b and a != b for a, b in zip(self.size, told, strict=True)):
            raise layer.refused(f"images of {told} inside a network of {self.size}")
        self.size = (self.size[0] or height, self.size[1] or width)

    def affine(self, layer: Settings, affine: Affine) -> None:
        """A factor and a summand a channel."""
        self._follows(layer)
        if self.in_front:
            if not affine.scale.all():
                raise layer.refused("a factor of 0")
            self.front = self.front.then(affine)
            self.preprocesses |= layer.layer.class_name != "BatchNormalization"
        elif self._open:
            last = self._last
            self._check_maximum(layer, affine, after_maximum=self._maximum)
            last.after = affine if last.after is None else last.after.then(affine)
        else:
            before = self._pending[1] if self._pending else Affine.identity(self.channels)
            self._pending = (layer, before.then(affine))

    def reorder(self, layer: Settings, channels: tuple[int, ...]) -> None:
        """Another order of the three channels, in front alone."""
        if not self.in_front or sorted(channels) != list(range(CHANNELS)):
            raise layer.refused(f"channels {channels}")
        self._follows(layer)
        self.order = tuple(self.order[channel] for channel in channels)
        self.preprocesses = True
        index = list(channels)
        self.front = Affine(self.front.scale[index], self.front.offset[index])

    def pad(self, layer: Settings, margin: int) -> None:
        """Zeros around the map, for a convolution without padding of its own."""
        self._follows(layer)
        self._padded = (layer, margin)

    def convolution(
        self, layer: Settings, kernel: StoredTensor, bias: StoredTensor | None, *, same: bool
    ) -> None:
        """A convolution of stride 1 with an odd square kernel."""
        margin = self._padded[1] if self._padded else 0
        self._padded = None
        self._follows(layer)
        if self.flat or self.pooling:
            raise layer.refused(f"after the {self.pooling} of the head")
        if self._open:
            raise self._last.layer.refused("no ReLU between it and the next convolution")
        self._no_pending()
        expected = 0 if same else kernel.shape[0] // 2
        if margin != expected:
            raise layer.refused(f"zeros {margin} wide around the map and its padding")
        if self.in_front:
            self._begin(layer)
        if not self.blocks or self.pooled[-1]:
            self.blocks.append([])
            self.pooled.append(False)
        self._weighted(self.blocks[-1], Weighted(layer, kernel, bias))

    def relu(self, layer: Settings) -> None:
        """A ReLU; a second one changes nothing."""
        self._follows(layer)
        if self.in_front:
            raise layer.refused("before the first convolution")
        self._no_pending()
        if self._open:
            self._last.relu, self._open = True, False

    def max_pooling(self, layer: Settings, *, same: bool) -> None:
        """The maximum of 2x2, stride 2."""
        self._follows(layer)
        if self.in_front or self.pooled[-1] or self.pooling:
            raise layer.refused("not after a convolution")
        height, width = self.map_size
        if same and (height % 2 or width % 2):
            raise layer.refused(f"padding=same on a map of {height}x{width}")
        if min(height, width) < 2:
            raise layer.refused(f"on a map of {height}x{width}")
        self._take_maximum(layer)
        self.map_size = (height // 2, width // 2)
        self.pooled[-1] = True

    def pool_all(self, layer: Settings, pooling: str, *, keeps_axes: bool) -> None:
        """The average or the maximum of the whole map."""
        self._end_features(layer)
        if pooling == "max":
            self._take_maximum(layer)
        self.pooling, self.flat, self.map_size = pooling, not keeps_axes, (1, 1)

    def flatten(self, layer: Settings) -> None:
        """A vector of the map, channels last; of a vector, the vector."""
        self._follows(layer)
        if self.flat:
            return
        if not self.pooling:
            self._end_features(layer)
            self.pooling = "flatten"
        positions = self.map_size[0] * self.map_size[1]
        self.channels *= positions
        self.flat = True
        if self._pending:
            self._pending = (self._pending[0], self._pending[1].repeated(positions))

    def dense(self, layer: Settings, kernel: StoredTensor, bias: StoredTensor | None) -> None:
        """A fully connected layer."""
        self._follows(layer)
        if not self.flat:
            raise layer.refused("on a map", "put Flatten or GlobalAveragePooling2D before it")
        before = self._pending[1] if self._pending else None
        self._pending = None
        self._weighted(self.head, Weighted(layer, kernel, bias, before))

    def end(self, layer: Settings, activation: str) -> None:
        """The activation of the output."""
        self._follows(layer)
        self._no_pending()
        if not self.head or not self._open:
            raise layer.refused("not on the output of a Dense without activation")
        if activation == "softmax" and self.channels == 1:
            raise layer.refused(
                "a softmax of one output, which is 1 for every image",
                "train it again with a sigmoid, or with an output a class",
            )
        self.activation, self._open = activation, False

    def finish(self, layer: Settings, *, headless: bool) -> None:
        """The network's end is here; ``layer`` is its last, a convolution's too if ``headless``."""
        if self._padded:
            raise self._padded[0].refused("without a convolution after it")
        self._no_pending()
        if not self.head and not headless:
            raise layer.refused("at the end", "a network that ends in Dense is expected")
        if not self.blocks:
            raise layer.refused("without a convolution before it")
        if self.head and self._last.relu:
            raise self._last.layer.refused("a ReLU at the end")

    @property
    def _last(self) -> Weighted:
        return self.head[-1] if self.head else self.blocks[-1][-1]

    def _begin(self, layer: Settings) -> None:
        height, width = (
            side or default for side, default in zip(self.size, self._default_size, strict=True)
        )
        if height is None or width is None:
            raise layer.refused(
                f"images of {height or '?'}x{width or '?'}",
                "the file leaves the size of the images open: state the input size",
            )
        self.input_size = self.map_size = (height, width)

    def _weighted(self, place: list[Weighted], weighted: Weighted) -> None:
        place.append(weighted)
        self.channels = weighted.kernel.shape[-1]
        self._open, self._maximum = True, False

    def _end_features(self, layer: Settings) -> None:
        self._follows(layer)
        if not self.blocks or self.pooling:
            raise layer.refused("not after convolutions")
        if self._open:
            raise self._last.layer.refused("no ReLU after it")

    def _take_maximum(self, layer: Settings) -> None:
        self._maximum = True
        if self._pending:
            self._check_maximum(self._pending[0], self._pending[1], after_maximum=True)

    def _check_maximum(self, layer: Settings, affine: Affine, *, after_maximum: bool) -> None:
        if after_maximum and not (affine.scale > 0).all():
            raise layer.refused("factors that are not positive beside a maximum")

    def _follows(self, layer: Settings) -> None:
        """Whether anything but a layer that does nothing may be here."""
        if self._padded:
            raise self._padded[0].refused("not right before a convolution")
        if self.activation:
            raise layer.refused(f"after the {self.activation} of the output")

    def _no_pending(self) -> None:
        if self._pending:
            raise self._pending[0].refused(
                "after a ReLU, with no Dense next: it cannot be folded exactly",
                "put it between the layer with weights and its ReLU",
            )
