"""The operating system: files, locks, processes, disks, GPU slots, telemetry."""
