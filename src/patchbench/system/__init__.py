"""Files, locks, processes, disk, GPU slots, telemetry."""
