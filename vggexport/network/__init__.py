"""What the network is: its spec, the walk over it, how it is trained."""
