"""What a file takes and gives at its two ends, where that is not this project's contract."""

from __future__ import annotations

from dataclasses import dataclass

from vggexport.network.head import HeadActivation
from vggexport.network.spec import VGGSpec
from vggexport.system.json_values import JsonValue

NHWC, NCHW = "NHWC", "NCHW"


@dataclass(frozen=True, slots=True)
class Quantization(JsonValue):
    """Of an integer tensor: real = scale * (integer - zero_point)."""

    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True)
class Ends(JsonValue):
    """Input and output of a file of another converter.

    Attributes:
        input: Name of the input.
        output: Name of the output.
        input_size: Height and width in pixels.
        classes: Numbers that it gives an image.
        input_dtype: Of what it takes: "float32", "float16", "uint8" or "int8".
        layout: "NHWC" or "NCHW".
        quantization: Of what it takes, where integers stand for other numbers.
        head_activation: What makes probabilities of its logits: the graph's last operator, or one
            that is added here.
        gives_logits: Whether the graph ends without it.
    """

    input: str
    output: str
    input_size: tuple[int, int]
    classes: int
    input_dtype: str = "float32"
    layout: str = NHWC
    quantization: Quantization | None = None
    head_activation: HeadActivation = HeadActivation.SOFTMAX
    gives_logits: bool = False

    @property
    def spec(self) -> VGGSpec:
        """A network of which no more is known: it has no blocks.

        Raises:
            InputError: One output is no softmax's.
        """
        return VGGSpec(
            "foreign",
            (),
            self.classes,
            (),
            self.input_size,
            (0.0, 0.0, 0.0),
            head_activation=self.head_activation,
        )
