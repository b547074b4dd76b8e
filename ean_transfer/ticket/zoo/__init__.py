"""Published tickets, as ticket files."""
