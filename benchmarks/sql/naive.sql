-- What the naive service keeps: balances, gifts by key, and two entries a gift. The platform has no
-- row of its own to wait for: the most favourable layout for it.

CREATE TABLE wallet (
    owner_id text PRIMARY KEY,
    coins    bigint NOT NULL CHECK (coins >= 0),
    diamonds bigint NOT NULL CHECK (diamonds >= 0)
);

CREATE TABLE gift (
    idempotency_key uuid PRIMARY KEY,
    sender_id       text NOT NULL,
    recipient_id    text NOT NULL,
    gift_id         text NOT NULL,
    coins           bigint NOT NULL,
    diamonds        bigint NOT NULL,
    create_time     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE entry (
    entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gift_key uuid NOT NULL,
    owner_id text NOT NULL,
    unit     text NOT NULL,
    amount   bigint NOT NULL,
    balance  bigint NOT NULL
);
CREATE INDEX entry_owner ON entry (owner_id, entry_id);

INSERT INTO wallet SELECT 'v' || lpad(n::text, 9, '0'), 1000000000000, 0
  FROM generate_series(0, {viewers} - 1) AS n;
INSERT INTO wallet SELECT 'c' || lpad(n::text, 9, '0'), 0, 0
  FROM generate_series(0, {creators} - 1) AS n;
