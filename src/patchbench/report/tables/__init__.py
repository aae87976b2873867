"""The tables: collected from records, written as Parquet."""
