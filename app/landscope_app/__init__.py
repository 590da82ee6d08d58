"""The dashboard and the `landscope` command."""
