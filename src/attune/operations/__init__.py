"""What people run beside the graph: the demo, its models, summaries."""
