"""Programs that measure; JSON out, with machine, versions and command beside each figure."""
