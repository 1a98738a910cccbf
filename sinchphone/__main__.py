"""``python -m sinchphone``."""

from sinchphone.cli.main import main

if __name__ == "__main__":
    main()
