"""Parts of SQL statements: combination, parameters, summaries for spans and comparison of texts."""
