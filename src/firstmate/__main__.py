"""`python -m firstmate` is the command line."""

from firstmate.cli.main import main

if __name__ == "__main__":
    main()
