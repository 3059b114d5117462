"""Rules of the protobuf files, and the places of their elements."""
