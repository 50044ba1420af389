"""`python -m benchmarks.auto`."""

from benchmarks.auto.command import main

if __name__ == "__main__":
    main()
