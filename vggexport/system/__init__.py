"""What the operating system offers: output files, progress, processes, the machine."""
