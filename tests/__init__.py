"""The tests. A package, since another distribution installs one of that name."""
