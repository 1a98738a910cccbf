"""Recordings of calls that a backend asked for: files in the state folder, and the REST API that gives them out and deletes them."""
