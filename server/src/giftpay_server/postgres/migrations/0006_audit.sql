-- What was written since a time, for the audit. Rows lie in the order in which they were written, so
-- that the times of whole ranges of pages (here 4 MB) are enough to find them, and cost next to
-- nothing to keep.
--
-- An engine that has no BRIN goes without: the audit then reads the tables from end to end, which
-- costs it time and nobody else anything.

DO $$
BEGIN
    CREATE INDEX entry_time ON entry USING brin (create_time)
        WITH (pages_per_range = 512, autosummarize = on);
    CREATE INDEX transactions_time ON transactions USING brin (create_time)
        WITH (pages_per_range = 512, autosummarize = on);
EXCEPTION WHEN feature_not_supported OR undefined_object OR invalid_parameter_value THEN
    NULL;
END
$$;
