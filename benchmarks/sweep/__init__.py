"""Cells, chunk sizes and schedulers, on real steps."""
