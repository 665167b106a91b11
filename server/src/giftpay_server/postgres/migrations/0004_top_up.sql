-- Orders for coins, and the real money that moved for orders and redemptions.

CREATE TABLE top_up (
    minor_units       bigint NOT NULL CHECK (minor_units > 0),
    coins             bigint NOT NULL CHECK (coins > 0),
    bonus_coins       bigint NOT NULL CHECK (bonus_coins >= 0),
    create_time       timestamptz NOT NULL,
    pay_time          timestamptz,
    top_up_id         uuid PRIMARY KEY,                         -- the transaction that made it
    catalog_version   integer NOT NULL,
    provider          smallint NOT NULL,                        -- giftpay.v1.PaymentProvider
    state             smallint NOT NULL CHECK (state > 0),        -- giftpay.v1.TopUpState
    paid_after_cancel boolean NOT NULL DEFAULT false,
    owner_id          text COLLATE "C" NOT NULL,
    package_id        text COLLATE "C" NOT NULL,
    currency          text NOT NULL,
    payment_reference text COLLATE "C",
    CHECK ((state = 2) = (payment_reference IS NOT NULL)),
    CHECK ((state = 2) = (pay_time IS NOT NULL))
);
CREATE INDEX top_up_owner ON top_up (owner_id, create_time, top_up_id);

-- Append-only. Positive is received, negative is paid out.
CREATE TABLE money_movement (
    minor_units    bigint NOT NULL CHECK (minor_units <> 0),
    create_time    timestamptz NOT NULL,
    transaction_id uuid PRIMARY KEY,
    subject_id     uuid NOT NULL,                               -- the order or redemption
    provider       text NOT NULL,
    reference      text NOT NULL,
    currency       text NOT NULL
);
CREATE INDEX money_movement_subject ON money_movement (subject_id);

GRANT SELECT, INSERT, UPDATE ON top_up TO giftpay_server;
GRANT SELECT, INSERT ON money_movement TO giftpay_server;
