"""The HTTP face: what people type comes in through `bodies`, and nothing else."""
