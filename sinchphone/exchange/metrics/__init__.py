"""An exchange as those see it who run it: whether it lives, whether it serves, and its figures for Prometheus."""
