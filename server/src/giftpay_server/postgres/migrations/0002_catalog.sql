-- Catalogs, each whole, by version.

CREATE TABLE catalog (
    create_time    timestamptz NOT NULL,
    transaction_id uuid NOT NULL,
    version        integer PRIMARY KEY CHECK (version > 0),
    body           bytea NOT NULL                               -- giftpay.v1.Catalog
);
GRANT SELECT, INSERT ON catalog TO giftpay_server;
