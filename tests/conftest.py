"""Tests run on the CPU, in the precision that `autofit` asks for."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
