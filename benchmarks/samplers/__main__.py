"""`python -m benchmarks.samplers`."""

from benchmarks.samplers.command import main

if __name__ == "__main__":
    main()
