"""Long campaigns of randomised tests: `make soak SEED= MINUTES=`."""
