"""Whole fits by several nested samplers."""
