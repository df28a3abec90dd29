"""``python -m vggexport``."""

from vggexport.cli import main

main()
