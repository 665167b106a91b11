-- Redemptions. The destination is in personal_data, under the redemption's id.

CREATE TABLE redemption (
    diamonds        bigint NOT NULL CHECK (diamonds > 0),
    gross           bigint NOT NULL CHECK (gross > 0),          -- minor units
    fee             bigint NOT NULL CHECK (fee >= 0 AND fee < gross),
    create_time     timestamptz NOT NULL,
    update_time     timestamptz NOT NULL,                       -- when it reached its state
    next_time       timestamptz,                                -- of the next call; NULL: never
    submit_time     timestamptz,                                -- when it was first sent
    redemption_id   uuid PRIMARY KEY,                           -- the transaction that made it
    catalog_version integer NOT NULL,
    calls           integer NOT NULL CHECK (calls >= 0),        -- begun so far; part of step keys
    state           smallint NOT NULL CHECK (state > 0),          -- giftpay.v1.RedemptionState
    owner_id        text COLLATE "C" NOT NULL,
    currency        text NOT NULL,
    provider_key    text,                                       -- stored before the provider is called
    return_reason   text,
    CHECK ((state IN (1, 6)) = (provider_key IS NULL)),         -- held and cancelled: never sent
    CHECK ((provider_key IS NULL) = (submit_time IS NULL)),
    CHECK (state NOT IN (1, 2) OR next_time IS NOT NULL),       -- held and submitted: continue
    CHECK (state NOT IN (5, 6) OR next_time IS NULL)            -- returned and cancelled: ended
);
CREATE INDEX redemption_owner ON redemption (owner_id, create_time, redemption_id);
CREATE INDEX redemption_due ON redemption (next_time, redemption_id) WHERE next_time IS NOT NULL;
GRANT SELECT, INSERT, UPDATE ON redemption TO giftpay_server;
