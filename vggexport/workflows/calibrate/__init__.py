"""Activation ranges taken from images, and whether more images would change them."""
