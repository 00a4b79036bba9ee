"""The control plane: what operators write, compiled into signed snapshots and pushed to sidecars."""
