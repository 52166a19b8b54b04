"""Find hot pixels in a camera's ordinary JPEGs and write repaired copies."""
