"""The same operations, hand-written as good teams write them without a mesh, on the same data."""
