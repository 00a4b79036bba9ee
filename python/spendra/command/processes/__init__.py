"""Child processes that are started, kept alive and stopped with their parent."""
