-- Viewers with coins and creators without, as the server itself would have left them: each viewer
-- was given the coins by one adjustment, so that all books balance.

INSERT INTO owner (owner_id, status, country, adult_from, create_time)
SELECT id, 1, 'DE', '2020-01-01', now()
  FROM (SELECT 'v' || lpad(n::text, 9, '0') FROM generate_series(0, {viewers} - 1) AS n
         UNION ALL
        SELECT 'c' || lpad(n::text, 9, '0') FROM generate_series(0, {creators} - 1) AS n) AS o (id);

INSERT INTO account (owner_id, unit) 
SELECT owner_id, unit FROM owner, (VALUES (1), (2)) AS u (unit);

WITH given AS MATERIALIZED (
    SELECT uuidv7() AS id, owner_id FROM owner WHERE owner_id LIKE 'v%'
), booked AS (
    INSERT INTO transactions (create_time, id, catalog_version, kind, reason, caller, entries,
                              request, answer)
    SELECT now(), id, 0, 11, 0, 'local', owner_id || '/1/1', '', '' FROM given
), moved AS (
    INSERT INTO entry (seq, amount, balance, create_time, transaction_id, unit, system_account,
                       owner_id)
    SELECT 1, {coins}, {coins}, now(), id, 1, 8, owner_id FROM given
), minted AS (
    INSERT INTO lot (seq, first, size, source_id, unit, kind, owner_id)
    SELECT 1, 0, {coins}, id, 1, 4, owner_id FROM given
)
UPDATE account a SET balance = {coins}, seq = 1, entry_time = now()
  FROM given WHERE a.owner_id = given.owner_id AND a.unit = 1;

INSERT INTO account (owner_id, unit, balance, seq, entry_time)
SELECT '~ADJUSTMENT~1023', 1, -sum(balance), count(*), now() FROM account WHERE unit = 1 AND seq = 1;

-- The stripe of the bulk load, and the one row that all callers of raw_gift may be made to share.
INSERT INTO account (owner_id, unit) VALUES ('~GIFT_SALES~1023', 1), ('~CREATOR_EARNINGS~1023', 2);
