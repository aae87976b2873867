"""Old results told rightly: tables of ours from what others left behind, so that the same report
can be made of them. Nothing imported was repeated or paired, so nothing of it gets a verdict."""
