"""The command line: a file a command, which parses, prints and exits, and leaves the rest to `autolock.api`."""
