"""Goldens: what fixed photos gave with version 0.1, for every later version to give."""
