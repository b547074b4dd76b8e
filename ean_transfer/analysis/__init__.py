"""Looking at networks: latency, scores, and what attention does (inspect)."""
