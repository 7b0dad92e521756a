"""Sanitizer."""

from .detectors import clean_value

__all__ = ["clean_value"]
