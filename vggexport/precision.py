"""What a precision is: one row, from which everything that differs by precision is taken.

A new precision is a member of :class:`Precision`, its row here, its name in the rows of the formats
that have it, and what their writers do for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from vggexport.errors import Advice, InputError
from vggexport.metrics.tolerance import LayerSqnr, Tolerance

ACTIVATION_BITS = NARROW_BITS, WIDE_BITS = (8, 16)
"""Of activations in int8 files: 16 for processors that multiply those by 8-bit weights."""


class Precision(StrEnum):
    """How the weights are stored and how the network computes."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    DYNAMIC_INT8 = "dynamic-int8"
    """int8 weights; each image's activations are quantized as they come, without calibration."""
    INT8 = "int8"
    INT8_W4 = "int8-w4"
    """int8 with the weights of the fully connected layers in int4 blocks."""

    @property
    def profile(self) -> Profile:
        """Its row, of files that take and give floats."""
        return profile_of(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One precision.

    Attributes:
        precision: Its name to users.
        full_integer: uint8 in and out and no float operator at all: for NPUs.
        coarseness: The higher, the coarser: of two files the coarser one's tolerance counts.
        is_float: Whether it computes in floats.
        needs_ranges: Whether activations are quantized by ranges that calibration took.
        kernel_bits: Of one value of a kernel.
        activation_bits: Of one value between layers, where they are quantized.
        int4_blocks: Whether the kernels of fully connected layers are int4 in blocks instead.
        cpu_dtype: Data type in which CPUs multiply its matrices.
        cuda_dtype: In which CUDA devices do.
        tolerance: What a file just written must reach, and what two files must against each other.
        against_others: The latter, where it is another.
        same_integers: What two files that carry the same integers must reach against each other;
            None where they carry none.
        on_cpu: What a file must reach, on a receiver's CPU, against its answers at home. It is the
            same file with the same bytes, so only the order and the rounding of its sums differ.
        on_other_kernels: By format, the same in kernels that an app may get besides: LiteRT's other
            than XNNPACK's, ONNX Runtime's on a graph as it is written or with sums in 16 bits. What
            is not there is as :attr:`on_cpu` says.
        on_accelerator: The same on graphics processors, neural engines and signal processors.
        own_noise: What healthy layers have on an exact input. Measured: float32 116 dB, float16
            62 dB, int8 32 dB, int4 16 dB (layers of a trained VGG-D on photographs); 8 dB and more
            are left for other weights and images.
        kernels: What healthy kernels have. Measured on trained ones: float32 equal, float16 73 dB,
            int8 34.6 dB, int4 20.4 dB at least; kernels of other layers or another training have
            0 dB and less.
    """

    precision: Precision
    full_integer: bool = False
    coarseness: int
    is_float: bool = False
    needs_ranges: bool = False
    kernel_bits: int = 8
    activation_bits: int = 8
    int4_blocks: bool = False
    cpu_dtype: str = "int8"
    cuda_dtype: str = "float32"
    tolerance: Tolerance
    against_others: Tolerance | None = None
    same_integers: Tolerance | None = None
    on_cpu: Tolerance
    on_other_kernels: Mapping[str, Tolerance] = field(default_factory=dict)
    on_accelerator: Tolerance
    own_noise: LayerSqnr
    kernels: LayerSqnr

    @property
    def name(self) -> str:
        """As in the names of files."""
        wide = "_a16" if self.activation_bits == WIDE_BITS else ""
        return f"{self.precision.value}{wide}{'_full_integer' if self.full_integer else ''}"

    @property
    def check_images(self) -> int:
        """Images that a file just written is checked on.

        Without ranges the Keras network is the reference, and holds the activations of all of them
        at once. With ranges there are those of :attr:`synthetic_check_images` besides.
        """
        return 8 if self.needs_ranges else 4

    @property
    def synthetic_check_images(self) -> int:
        """Synthetic images, beside the others: a source says nothing of what it has not."""
        return 8 if self.needs_ranges else 0

    def check_takes(self, input_dtype: str) -> None:
        """Refuses a data type of images that its files cannot take.

        Raises:
            InputError: It is float32, and no float may be there.
        """
        if self.full_integer and input_dtype != "uint8":
            raise InputError(f"full integer takes uint8 images, not {input_dtype}")


_FLOAT_ON_ACCELERATOR = Tolerance(
    "accelerators compute floats in 16 bits, sums too: as float16 on an ARM processor, which "
    "measured 38.2 dB; not measured on one",
    min_half_logit_sqnr_db=30.0,
)
_INTEGER_ON_ACCELERATOR = Tolerance(
    "accelerators requantize with fewer bits after each layer, and compute the last one in 16 "
    "bits: Qualcomm's emulator of its NPU measured 21.6 dB on 4 photographs near the decision "
    "boundaries of a trained network, 17.4 dB on the worst; not measured on an accelerator",
    min_half_logit_sqnr_db=15.0,
)
_WHOLE_256THS = Tolerance(
    "probabilities in whole 256ths, which tell logits to half a step: the worst of 1,000 sets of "
    "8 photographs measured 8.9 dB, and 12.5 dB on those logits, the best with swapped channels "
    "11.5 dB, and 7.3 dB",
    min_sqnr_db=6.0,
    min_sure_agreement=0.93,
    min_coarse_logit_sqnr_db=9.0,
)

_AS_WRITTEN = Tolerance(
    "the same integers, summed in float32 where ONNX Runtime does not optimize the graph: 27.6 dB "
    "in the worst of 1,000 sets of 8 photographs; BGR gave 10.0 dB in the best",
    min_logit_sqnr_db=20.0,
)

_FLOAT32 = Profile(
    precision=Precision.FLOAT32,
    coarseness=0,
    is_float=True,
    kernel_bits=32,
    cpu_dtype="float32",
    tolerance=Tolerance(
        "both compute in float32 and differ by the order of summation alone: 200 photographs near "
        "the decision boundaries of a trained network measured 1.7e-5 at most (LiteRT, which sums "
        "in one piece), and 96 dB at least",
        max_abs=1e-4,
        min_logit_sqnr_db=80.0,
        min_sure_agreement=0.99,
        negligible_logit_error=2e-6,
    ),
    on_cpu=Tolerance(
        "sums in another order: two runtimes measured 96 dB and 1.7e-5 on 200 photographs",
        max_abs=1e-4,
        min_logit_sqnr_db=80.0,
    ),
    on_accelerator=_FLOAT_ON_ACCELERATOR,
    own_noise=LayerSqnr(100.0, 95.0),
    kernels=LayerSqnr(100.0, 100.0),
)

_SUMMED_IN_HALF = Tolerance(
    "ONNX Runtime sums float16 in 16 bits on ARM processors that have them: under emulation 8 "
    "photographs measured 38.2 dB, a random network 40.5 dB; pixels of another colour profile gave "
    "25.3 dB in the best set",
    min_logit_sqnr_db=30.0,
)

_FLOAT16 = Profile(
    precision=Precision.FLOAT16,
    coarseness=1,
    is_float=True,
    kernel_bits=16,
    cpu_dtype="float32",
    cuda_dtype="float16",
    tolerance=Tolerance(
        "11-bit significands through 16 layers: measured 58 dB and more",
        min_logit_sqnr_db=45.0,
        min_sure_agreement=0.98,
        negligible_logit_error=1e-3,
    ),
    on_cpu=Tolerance(
        "computed in float32, or rounded to 16 bits after each layer: float16 against float32 "
        "measured 58 dB and more",
        min_logit_sqnr_db=45.0,
    ),
    on_other_kernels={"onnx": _SUMMED_IN_HALF, "ort": _SUMMED_IN_HALF},
    on_accelerator=_FLOAT_ON_ACCELERATOR,
    own_noise=LayerSqnr(50.0, 48.0),
    kernels=LayerSqnr(55.0, 55.0),
)

_DYNAMIC_INT8 = Profile(
    precision=Precision.DYNAMIC_INT8,
    coarseness=2,
    tolerance=Tolerance(
        "8-bit weights, and activations rounded to 8 bits image by image: the worst of 1,000 sets "
        "of 8 unseen photographs measured 22 dB, swapped channels 4 dB",
        min_logit_sqnr_db=15.0,
        min_sure_agreement=0.96,
        negligible_logit_error=0.01,
    ),
    on_cpu=Tolerance(
        "activations are quantized image by image: of 1,000 sets of 8 of 200 photographs the worst "
        "measured 30.9 dB in LiteRT without XNNPACK and 24.7 dB in OpenVINO; another colour "
        "profile gave 20.0 dB in the best, BGR 5.7 dB",
        min_logit_sqnr_db=21.0,
    ),
    on_accelerator=_INTEGER_ON_ACCELERATOR,
    own_noise=LayerSqnr(24.0, 22.0),
    kernels=LayerSqnr(25.0, 25.0),
)

_INT8 = Profile(
    precision=Precision.INT8,
    coarseness=4,
    needs_ranges=True,
    tolerance=Tolerance(
        "8-bit weights and activations: the worst of 2,000 sets of 8 unseen photographs measured "
        "16 dB over all calibration methods; files with quantized logits measured -2 dB",
        min_logit_sqnr_db=12.0,
        min_sure_agreement=0.95,
        negligible_logit_error=0.01,
    ),
    same_integers=Tolerance(
        "the same integers, rounded after each layer in the way of the runtime: 200 photographs "
        "measured 68 dB",
        min_logit_sqnr_db=35.0,
    ),
    on_cpu=Tolerance(
        "the same integers, rounded after each layer in the way of the processor's instructions: "
        "two runtimes measured 68 dB on 200 photographs",
        min_logit_sqnr_db=35.0,
    ),
    on_other_kernels={
        "tflite": Tolerance(
            "the same integers, rescaled in fixed point and rounded twice after each layer: "
            "LiteRT's optimized and reference kernels and tflite-runtime 2.14 measured 22.0 dB in "
            "the worst of 1,000 sets of 8 photographs; BGR gave 11.9 dB in the best",
            min_logit_sqnr_db=18.0,
        ),
        "onnx": _AS_WRITTEN,
    },
    on_accelerator=_INTEGER_ON_ACCELERATOR,
    own_noise=LayerSqnr(24.0, 22.0),
    kernels=LayerSqnr(25.0, 25.0),
)

_INT8_A16 = replace(
    _INT8,
    activation_bits=WIDE_BITS,
    coarseness=3,
    cpu_dtype="float32",  # no CPU multiplies uint16 by int8
    tolerance=Tolerance(
        "8-bit weights: the worst of 2,000 sets of 8 unseen photographs measured 19.1 dB, swapped "
        "channels 4 dB",
        min_logit_sqnr_db=14.0,
        min_sure_agreement=0.95,
        negligible_logit_error=0.01,
    ),
    on_cpu=Tolerance(
        "the same numbers, computed in float: 84 photographs measured 42.7 dB, the worst 36.3 dB, "
        "where ONNX Runtime by itself rounds to 8 bits what fully connected layers read",
        min_logit_sqnr_db=30.0,
    ),
    on_accelerator=Tolerance(
        "activations keep 16 bits, and the last layer has half precision: Qualcomm's emulator of "
        "its NPU measured 55.6 dB and more on each of 4 photographs near the decision boundaries "
        "of a trained network; with pixels of another colour profile they have 16.4 dB; not "
        "measured on an accelerator",
        min_half_logit_sqnr_db=40.0,
    ),
)

_INT8_W4 = Profile(
    precision=Precision.INT8_W4,
    coarseness=5,
    needs_ranges=True,
    int4_blocks=True,
    tolerance=Tolerance(
        "4-bit weights in the fully connected layers: the worst of 1,000 sets of 8 unseen "
        "photographs measured 11.3 dB, random networks 10.5 dB, swapped channels 4 dB",
        min_logit_sqnr_db=8.0,
        min_sure_agreement=0.93,
        negligible_logit_error=0.01,
    ),
    same_integers=Tolerance(
        "the same integers, with activations of the fully connected layers quantized by image in "
        "one runtime and by block in the other: 200 photographs measured 36 dB",
        min_logit_sqnr_db=25.0,
    ),
    on_cpu=Tolerance(
        "activations of fully connected layers are quantized by image or by block: two runtimes "
        "measured 36 dB",
        min_logit_sqnr_db=25.0,
    ),
    on_other_kernels={"onnx": _AS_WRITTEN},
    on_accelerator=_INTEGER_ON_ACCELERATOR,
    own_noise=LayerSqnr(24.0, 9.0),
    kernels=LayerSqnr(25.0, 10.0),
)

_INT8_FULL_INTEGER = replace(
    _INT8,
    full_integer=True,
    coarseness=6,
    # Of a float softmax on its own logits: of its probabilities no logit can be told.
    tolerance=Tolerance(
        "as int8, with logits in 8 bits: the worst of 500 sets of 8 unseen photographs measured "
        "20 dB; with logits far beyond those of the calibration, which are clipped, 7.6 dB",
        min_logit_sqnr_db=12.0,
        min_sure_agreement=0.95,
        negligible_logit_error=0.01,
    ),
    against_others=_WHOLE_256THS,
    same_integers=_WHOLE_256THS,
    on_cpu=Tolerance(
        "probabilities in whole 256ths, which tell logits to half a step: LiteRT with and without "
        "XNNPACK measured 17.4 dB in the worst of 1,000 sets of 8 photographs, and 0.26 at most; "
        "BGR gave 8.1 dB in the best",
        max_abs=0.5,
        min_coarse_logit_sqnr_db=12.0,
    ),
    on_other_kernels={},
    on_accelerator=Tolerance(
        "probabilities in whole 256ths: as between two files; not measured on one",
        min_coarse_logit_sqnr_db=10.0,
    ),
)

_ROWS = (_FLOAT32, _FLOAT16, _DYNAMIC_INT8, _INT8_A16, _INT8, _INT8_W4, _INT8_FULL_INTEGER)
PROFILES: Mapping[tuple[Precision, bool, int], Profile] = {
    (row.precision, row.full_integer, row.activation_bits): row for row in _ROWS
}
"""By precision, by whether files are without any float operator, and by bits of activations."""


def profile_of(
    precision: Precision, *, full_integer: bool = False, activation_bits: int = NARROW_BITS
) -> Profile:
    """The row of a precision, of files with or without float operators.

    Raises:
        InputError: There is none without, or none with so many bits.
    """
    row = PROFILES.get((precision, full_integer, activation_bits))
    if row is None and full_integer:
        raise InputError(f"full integer is int8, not {precision.value}")
    if row is None:
        raise InputError(
            f"there is no {precision.value} with {activation_bits}-bit activations",
            Advice("leave out {}", "activation_bits"),
        )
    return row


def coarser(one: Profile, other: Profile) -> Profile:
    """The coarser of two."""
    return max(one, other, key=lambda profile: profile.coarseness)
