"""Networks held to each other on the same images."""
