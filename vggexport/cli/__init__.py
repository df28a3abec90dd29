"""The command line: each command parses, calls one workflow and renders its report.

Commands import their workflow when they run, not when they are looked up: ``--help`` then imports
nothing but Click.
"""

from __future__ import annotations

from vggexport.cli.group import main

__all__ = ["main"]
