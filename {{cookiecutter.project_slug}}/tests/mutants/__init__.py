"""Mutation tests: `make mutants` changes the code at random places, and a test must fail for each change."""
