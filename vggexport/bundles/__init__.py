"""The hand-off package: model files with all that a receiver needs to use and to check them.

A bundle is a folder, or a zip archive of it. Every file but two is listed with its digest in
``SHA256SUMS``, which ``sha256sum --check`` reads; a signature covers that list, and the archive's
own bytes follow from the files' (:mod:`vggexport.bundles.archive`), so that nothing can be changed
unnoticed.
"""

from __future__ import annotations

from collections.abc import Mapping

MANIFEST = "MANIFEST.json"
CHECKSUMS = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.sig"
README = "README.md"
MODEL_CARD = "MODEL_CARD.md"
LABELS = "labels.txt"
PREPROCESSING = "preprocessing.json"
GOLDEN = "golden/golden.json"
REPORTS = "reports"
"""Folder of the JSON reports that the model card quotes."""

UNLISTED = frozenset({CHECKSUMS, SIGNATURE})
"""What the list of digests cannot hold: itself, and what is made of it."""

SIGNING: Mapping[str, str] = {
    "signer": "vggexport.bundles.signing:signer",
    "verify": "vggexport.bundles.signing:verify",
}
"""By what is done: functions that need the package ``cryptography``."""
