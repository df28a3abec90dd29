"""Golden files: recorded images and answers, for machines that have no reference to run."""
