"""The price of the service, measured against a bare app, the usual alternatives and the floor: `make bench`."""
