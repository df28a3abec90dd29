"""Results as pages for a browser: one file each, without a network or a script.

Every command's page extends ``templates/base.html``. Charts are matplotlib's, drawn twice: once for
a light and once for a dark background.
"""
