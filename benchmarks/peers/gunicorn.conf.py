"""Gunicorn, for the peers that it serves: the same processes and threads as the service has."""

workers = 2
threads = 4
worker_class = "gthread"
control_socket_disable = True  # nobody asks it, and it is a file in somebody's home
