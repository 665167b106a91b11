-- A batch may be decided before it locks anything. The statement that writes it names the version
-- (xmin) under which it read each account, and fails here if another batch was quicker: as a
-- serialization failure, since nothing of it stands and it may simply be decided again.

CREATE FUNCTION assert_unchanged(unchanged boolean) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT unchanged THEN
        RAISE EXCEPTION 'the books changed since they were read'
            USING ERRCODE = 'serialization_failure';
    END IF;
END
$$;
