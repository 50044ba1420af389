"""The planner and the schedulers on a live GPU."""
