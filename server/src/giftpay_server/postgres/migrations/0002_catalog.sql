-- Catalogs, each whole, by version.

CREATE TABLE catalog (
    create_time    timestamptz NOT NULL,
    transaction_id uuid NOT NULL,
    etag           bigint NOT NULL CHECK (etag > 0),            -- random: identifies the contents
    version        integer PRIMARY KEY CHECK (version > 0),
    body           bytea NOT NULL                               -- giftpay.v1.Catalog
);
GRANT SELECT, INSERT ON catalog TO giftpay_server;
