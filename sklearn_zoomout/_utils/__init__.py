"""Helpers that know nothing of images, superpixels or features."""
