"""The official SDKs, each driven the same way: directly at the simulated provider, and through
a sidecar."""
