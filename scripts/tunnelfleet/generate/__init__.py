"""The generator: from a typed cluster to the bytes of its overlay and Flux objects."""
