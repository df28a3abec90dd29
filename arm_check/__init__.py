"""Model files on emulated ARM processors: ``python -m arm_check``, from a checkout."""
