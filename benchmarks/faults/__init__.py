"""Disturbances of a fit, and whether it comes through."""
