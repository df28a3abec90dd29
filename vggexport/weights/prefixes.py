"""Names of a network that was saved as part of another object: ``module.features.0.weight``.

``DataParallel`` puts ``module.`` before every name, ``torch.compile`` ``_orig_mod.``, and a class
around the network the name of its attribute (``model.``, ``backbone.``, ``net.``, ``encoder.``).
"""

from __future__ import annotations

import re

from vggexport.weights.stored import Archive

_KNOWN = re.compile(r"(features|classifier|pre_logits|head)\.")
"""How all names of torchvision's VGG begin, and of timm's."""
_DEEPEST = 8
"""Objects around the network."""


def without_prefix(archive: Archive) -> tuple[str, Archive]:
    """Leaves out what comes before the names of a VGG, where it is the same for all tensors.

    A tensor beside the network (``0.mean`` of a layer that normalizes, before ``1.features.…``)
    means that the network is not all there is: nothing is left out then.

    Returns:
        The prefix with its last dot, "" where nothing was left out, and the tensors, in the same
        order, by their names without it.
    """
    parts = next(iter(archive), "").split(".", _DEEPEST)
    for depth in range(len(parts) - 1, 0, -1):
        prefix = ".".join(parts[:depth]) + "."
        if all(name.startswith(prefix) and _KNOWN.match(name, len(prefix)) for name in archive):
            return prefix, {name.removeprefix(prefix): archive[name] for name in archive}
    return "", archive
