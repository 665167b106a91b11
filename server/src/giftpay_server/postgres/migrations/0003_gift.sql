-- Gifts received in one context; everything else about gifts is in the ledger.

CREATE TABLE gift_context (
    seq      bigint NOT NULL,                                   -- of the recipient's diamond entry
    owner_id text COLLATE "C" NOT NULL,
    context  text COLLATE "C" NOT NULL,
    PRIMARY KEY (owner_id, context, seq)
);
GRANT SELECT, INSERT ON gift_context TO giftpay_server;
