"""How models are laid out in a bundle: for phones as they are, or as a server wants them."""

from __future__ import annotations

from collections.abc import Mapping

PLAIN = "plain"

LAYOUTS: Mapping[str, str] = {
    PLAIN: "vggexport.bundles.layouts.interface:plain",
    "triton": "vggexport.bundles.layouts.triton:place",
    "tf-serving": "vggexport.bundles.layouts.tf_serving:place",
    "ort-mobile": "vggexport.bundles.layouts.ort_mobile:place",
}
"""By name: ``vggexport.bundles.layouts.interface``'s function."""
