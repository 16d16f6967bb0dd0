"""Measurements: `make bench`. Results are JSON files under bench/results, one for each benchmark."""
