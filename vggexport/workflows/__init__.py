"""One room a command: from options to a result. They do not import each other."""
