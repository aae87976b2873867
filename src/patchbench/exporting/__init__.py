"""Results in the formats of others: each module turns a campaign's tables into one of them."""
