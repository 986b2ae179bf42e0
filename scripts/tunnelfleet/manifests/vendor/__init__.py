"""Maintainers' tool: fetch the public definitions of every supported kind and write them to schemas/."""
