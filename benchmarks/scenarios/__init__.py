"""What is measured beside what, a question a module."""
