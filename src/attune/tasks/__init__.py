"""What the graph is for: one folder a task, one folder a stage in it. The stages ask, the tasks answer; see `protocol`."""
