"""How models are laid out in a bundle: for phones as they are, or as a server wants them."""

from __future__ import annotations

from collections.abc import Mapping

PLAIN = "plain"

LAYOUTS: Mapping[str, str] = {
    PLAIN: "vggexport.bundle.layouts.plain:place",
    "triton": "vggexport.bundle.layouts.triton:place",
    "tf-serving": "vggexport.bundle.layouts.tf_serving:place",
    "ort-mobile": "vggexport.bundle.layouts.ort_mobile:place",
}
"""By name: ``vggexport.bundle.layouts.interface``'s function."""
