"""Added latency and throughput: Spendra's and its peers', side by side in one run."""
