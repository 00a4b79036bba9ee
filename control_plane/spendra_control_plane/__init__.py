"""The control plane: what operators write, compiled, signed and pushed to sidecars."""
