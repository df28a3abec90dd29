"""Everything that needs a CUDA GPU, in two halves: ``python -m gpu_check``, from a checkout."""
