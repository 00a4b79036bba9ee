"""The recorded traffic of real providers, through a running sidecar, each case on its own route."""
