"""Frames of venues, compiled: a BookSchema becomes a decoder (see decoder.pyx)."""
