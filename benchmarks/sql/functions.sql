-- A stored SendGiftRequest: fields 2, 3, 4 and 5 as protobuf writes them, for ids of 10 characters.
CREATE FUNCTION gift_request(sender text, recipient text) RETURNS bytea
LANGUAGE sql IMMUTABLE AS $$
    SELECT convert_to(E'\x12\n' || sender || E'\x1a\n' || recipient || E'"\x04rose(\x01', 'UTF8')
$$;

-- One gift, idempotent, written as plainly as PL/pgSQL lets it be: the same rows as giftpay's.
-- With `platform` it updates the platform's two rows as well, as a plain double entry would.
CREATE FUNCTION raw_gift(key uuid, sender text, recipient text, platform boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    paid   account;
    earned account;
BEGIN
    PERFORM FROM transactions WHERE id = key;
    IF FOUND THEN
        RETURN;
    END IF;
    UPDATE account SET balance = balance - 1, seq = seq + 1, spent = spent + 1, entry_time = now()
     WHERE owner_id = sender AND unit = 1 RETURNING * INTO STRICT paid;
    UPDATE account SET balance = balance + 1, seq = seq + 1, entry_time = now()
     WHERE owner_id = recipient AND unit = 2 RETURNING * INTO STRICT earned;
    INSERT INTO entry (seq, amount, balance, create_time, transaction_id, unit, system_account,
                       owner_id)
    VALUES (paid.seq, -1, paid.balance, now(), key, 1, 3, sender),
           (earned.seq, 1, earned.balance, now(), key, 2, 4, recipient);
    INSERT INTO transactions (create_time, id, catalog_version, kind, reason, caller, entries,
                              request, answer)
    VALUES (now(), key, 1, 7, 0, 'local', format('%s/1/%s %s/2/%s', sender, paid.seq, recipient,
            earned.seq), gift_request(sender, recipient), E'0\x018\x01');
    IF platform THEN
        UPDATE account SET balance = balance + 1, seq = seq + 1
         WHERE owner_id = '~GIFT_SALES~1023' AND unit = 1;
        UPDATE account SET balance = balance - 1, seq = seq + 1
         WHERE owner_id = '~CREATOR_EARNINGS~1023' AND unit = 2;
    END IF;
END
$$;

-- The limit: the same final rows, balances and stripes of many gifts, written by one statement inside
-- the server. 7919 is prime to the population, so that no owner comes twice up to 10,000 gifts.
CREATE FUNCTION bulk_gifts(gifts integer, first_viewer integer, first_creator integer) RETURNS void
LANGUAGE sql AS $$
    WITH gift AS MATERIALIZED (
        SELECT uuidv7() AS id,
               'v' || lpad(((first_viewer + n * 7919::bigint) % 10000)::text, 9, '0') AS sender,
               'c' || lpad(((first_creator + n * 7919::bigint) % 10000)::text, 9, '0') AS recipient
          FROM generate_series(1, gifts) AS n
    ), paid AS (
        UPDATE account a
           SET balance = balance - 1, seq = seq + 1, spent = spent + 1, entry_time = now()
          FROM gift WHERE a.owner_id = gift.sender AND a.unit = 1
        RETURNING gift.id, a.owner_id, a.seq, a.balance
    ), earned AS (
        UPDATE account a SET balance = balance + 1, seq = seq + 1, entry_time = now()
          FROM gift WHERE a.owner_id = gift.recipient AND a.unit = 2
        RETURNING gift.id, a.owner_id, a.seq, a.balance
    ), moved AS (
        INSERT INTO entry (seq, amount, balance, create_time, transaction_id, unit, system_account,
                           owner_id)
        SELECT seq, -1, balance, now(), id, 1, 3, owner_id FROM paid
         UNION ALL
        SELECT seq, 1, balance, now(), id, 2, 4, owner_id FROM earned
    ), sold AS (
        UPDATE account SET balance = balance + gifts, seq = seq + gifts, entry_time = now()
         WHERE owner_id = '~GIFT_SALES~1023' AND unit = 1
    ), owed AS (
        UPDATE account SET balance = balance - gifts, seq = seq + gifts, entry_time = now()
         WHERE owner_id = '~CREATOR_EARNINGS~1023' AND unit = 2
    )
    INSERT INTO transactions (create_time, id, catalog_version, kind, reason, caller, entries,
                              request, answer)
    SELECT now(), id, 1, 7, 0, 'local',
           paid.owner_id || '/1/' || paid.seq || ' ' || earned.owner_id || '/2/' || earned.seq,
           gift_request(paid.owner_id, earned.owner_id), E'0\x018\x01'
      FROM paid JOIN earned USING (id)
$$;
