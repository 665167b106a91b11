-- Block range indexes, by which the audit finds rows written since a time. Rows are stored in the
-- order in which they were written, so one range of times for 4 MB of pages is enough, and cheap.
--
-- They are optional, for engines without BRIN: the audit is then slower, since it scans the tables.

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
