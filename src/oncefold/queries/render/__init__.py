"""Every answer in every form, in one place: tables, JSON documents, JSON Lines, CSV, Arrow and Parquet."""
