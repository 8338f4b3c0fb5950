"""What the system test stands on: root file systems, booted containers, and the count of checks."""
