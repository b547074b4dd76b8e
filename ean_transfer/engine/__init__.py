"""From a config to a runner: configs, runners, weights, inference, and hooks."""
