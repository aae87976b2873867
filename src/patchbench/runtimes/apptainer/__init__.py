"""Arms in containers of Apptainer (or Singularity): clusters without an engine."""
