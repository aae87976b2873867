"""Files, locks, processes, disks, GPU slots, telemetry: what the operating system gives."""
