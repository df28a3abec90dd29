import pytest

from vggexport.metrics.placement import CPU_PROVIDER, CUDA_PROVIDER
from vggexport.opening.run_options import RunOptions


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (RunOptions(provider=CUDA_PROVIDER), {"use_tf32": "0"}),
        (RunOptions(provider=CUDA_PROVIDER, tf32=True), {}),
        (
            RunOptions(provider=CUDA_PROVIDER, cuda_graph=True),
            {"use_tf32": "0", "enable_cuda_graph": "1"},
        ),
        (RunOptions(provider=CPU_PROVIDER), {}),
        (RunOptions(), {}),
    ],
)
def test_the_options_of_cuda(options, expected):
    assert options.provider_options == expected
