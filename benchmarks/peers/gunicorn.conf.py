"""Gunicorn configuration of the peers: as many processes and threads as the service has."""

workers = 2
threads = 4
worker_class = "gthread"
control_socket_disable = True  # unused here; it would create a file in the home folder
