"""The soak test: `make soak` sends 50,000 requests to running processes, whose memory and open files must not grow."""
