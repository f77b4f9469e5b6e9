"""Is the data good: duplicates, holes, silence. Sans-I/O."""
