"""Network files: the protobuf message, its arrays checked and decoded, the network in words."""
