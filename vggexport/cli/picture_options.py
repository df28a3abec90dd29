"""``--resize`` and its relatives: how a picture becomes pixels."""

from __future__ import annotations

import click

from vggexport.cli.value_types import AT_LEAST_1, Background

RESIZES = ("crop", "stretch", "pad")
INTERPOLATIONS = ("bilinear", "nearest", "bicubic", "lanczos", "area")
"""Literals here and not imported: ``--help`` must not import numpy. A test holds them equal."""

BIT_DEPTHS = (8, 16)

picture_options = (
    click.option(
        "--resize",
        type=click.Choice(RESIZES),
        help="Bring pictures to the network's size: crop scales the short side and cuts out the "
        "centre, stretch changes the shape, pad adds background.  [default: as recorded, or "
        "crop]",
    ),
    click.option(
        "--resize-to",
        type=AT_LEAST_1,
        metavar="PIXELS",
        help="Scale the short side to this many pixels before the centre is cut out.  [default: as "
        "recorded, or 256 for 224, and in proportion]",
    ),
    click.option(
        "--interpolation",
        type=click.Choice(INTERPOLATIONS),
        help="Resize with this filter, as Pillow and Keras' load_img do; area is their box.  "
        "[default: as recorded, or bilinear]",
    ),
    click.option(
        "--ignore-exif",
        is_flag=True,
        default=None,
        help="Leave pictures as they are stored, whatever EXIF says of their orientation.",
    ),
    click.option(
        "--background",
        type=Background(),
        help="Put this colour behind transparent pixels and around padded pictures.  [default: "
        "as recorded, or white]",
    ),
    click.option(
        "--bit-depth",
        type=click.IntRange(*BIT_DEPTHS),
        help="State how many bits deep gray pictures use, such as 12.  [default: as recorded, or "
        "what they say]",
    ),
)
