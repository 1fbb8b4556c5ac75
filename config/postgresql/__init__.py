"""Django's backend for PostgreSQL, which also notices that the server says nothing."""
