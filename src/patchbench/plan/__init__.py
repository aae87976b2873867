"""The plan of a campaign: subjects, task lists, tasks, cohorts."""
