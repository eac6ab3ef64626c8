"""What an operator tells a scanner: switches that outlive it, and the socket it listens on."""
