"""Pages from templates: everything that a template shows is escaped unless it says otherwise."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from vggexport import __version__
from vggexport.reports.html.pictures import SIDE_PX, thumbnail
from vggexport.reports.html.themes import DARK, LIGHT
from vggexport.system import number_text

_TEMPLATES = Environment(
    loader=PackageLoader("vggexport.reports.html"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {
    "cost": number_text.cost,
    "counted": number_text.counted,
    "decibels": number_text.decibels,
    "difference": number_text.difference,
    "printable": number_text.printable,
    "probability": number_text.probability,
    "seconds": number_text.seconds,
    "share": number_text.share,
    "thumbnail": thumbnail,
}
_TEMPLATES.globals |= {"themes": (LIGHT, DARK), "thumbnail_px": SIDE_PX, "version": __version__}


def page(template: str, **values: Any) -> str:
    """A page.

    Args:
        template: Name of a file in ``templates/`` that extends ``base.html``.
        values: What it shows, by name.

    Raises:
        jinja2.UndefinedError: It shows something that is not there.
    """
    return _TEMPLATES.get_template(template).render(values) + "\n"
