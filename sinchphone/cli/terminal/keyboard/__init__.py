"""What is typed: the terminal's bytes on POSIX, the console's characters on Windows, and the one grammar that reads both."""
