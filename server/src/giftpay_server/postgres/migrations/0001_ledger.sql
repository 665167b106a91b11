-- The ledger: owners, accounts, entries, transactions, claims, holds, lots, withdrawals, personal
-- data.
--
-- The primary key of every large table contains the owner or the transaction; there are no triggers,
-- no sequences and no foreign keys, so that the tables may be sharded one day. Text is compared
-- bytewise (COLLATE "C"), so that accounts are locked in the same order everywhere.
--
-- The widest columns come first, which avoids padding.

CREATE TABLE owner (
    owner_id    text COLLATE "C" PRIMARY KEY,
    status      smallint NOT NULL CHECK (status > 0),         -- giftpay.v1.WalletStatus
    country     text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    adult_from  date,                                           -- NULL: age unverified
    create_time timestamptz NOT NULL,
    erasures    integer NOT NULL DEFAULT 0 CHECK (erasures >= 0)  -- generation of what is written
);

-- The only place of balances. Rows whose owner_id begins with ~ are stripes of the system accounts;
-- callers' ids cannot contain this character.
CREATE TABLE account (
    balance    bigint NOT NULL DEFAULT 0,
    held       bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
    seq        bigint NOT NULL DEFAULT 0 CHECK (seq >= 0),      -- the last entry's; counts them
    spent      bigint NOT NULL DEFAULT 0 CHECK (spent >= 0),    -- without what was withdrawn
    floor      bigint NOT NULL DEFAULT 0 CHECK (floor <= 0),    -- below zero after a claw-back only
    version    bigint NOT NULL DEFAULT 0 CHECK (version >= 0),  -- of the last write; only compared
    taken      bigint NOT NULL DEFAULT 0 CHECK (taken >= 0),    -- withdrawn, and not spent
    entry_time timestamptz NOT NULL DEFAULT 'epoch',
    unit       smallint NOT NULL CHECK (unit IN (1, 2)),        -- giftpay.v1.Unit
    owner_id   text COLLATE "C" NOT NULL,
    PRIMARY KEY (owner_id, unit),
    CHECK (owner_id ~ '^~' OR balance - held >= floor),
    CHECK (owner_id ~ '^~' OR balance <= 1000000000000000000)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE entry (
    seq            bigint NOT NULL CHECK (seq > 0),
    amount         bigint NOT NULL CHECK (amount <> 0 AND abs(amount) <= 1000000000000),
    balance        bigint NOT NULL,                             -- after this entry
    create_time    timestamptz NOT NULL,
    transaction_id uuid NOT NULL,
    unit           smallint NOT NULL,
    system_account smallint NOT NULL CHECK (system_account > 0),
    owner_id       text COLLATE "C" NOT NULL,
    PRIMARY KEY (owner_id, unit, seq)
);

CREATE TABLE transactions (
    create_time     timestamptz NOT NULL,
    id              uuid PRIMARY KEY,                           -- the idempotency key
    catalog_version integer NOT NULL,                           -- 0: none was applied yet
    kind            smallint NOT NULL,                          -- giftpay.v1.TransactionKind
    reason          smallint NOT NULL,                          -- giftpay.v1.ErrorReason; 0: posted
    caller          text NOT NULL,
    entries         text COLLATE "C" NOT NULL,                  -- 'anna/1/17 ben/2/4'
    request         bytea NOT NULL,                             -- the request, personal fields hashed
    answer          bytea NOT NULL                              -- to the first call with the key
);

CREATE TABLE claim (
    id             text COLLATE "C" PRIMARY KEY,
    transaction_id uuid NOT NULL
);

CREATE TABLE hold (
    amount      bigint NOT NULL CHECK (amount > 0),
    create_time timestamptz NOT NULL,
    end_time    timestamptz,
    hold_id     uuid NOT NULL,                                  -- the transaction that placed it
    unit        smallint NOT NULL,
    state       smallint NOT NULL CHECK (state IN (1, 2, 3)),   -- open, captured, released
    owner_id    text COLLATE "C" NOT NULL,
    PRIMARY KEY (owner_id, hold_id),
    CHECK ((state = 1) = (end_time IS NULL))
);

-- The coins of one purchase or grant: positions [first, first + size) of the account's odometer.
CREATE TABLE lot (
    seq       bigint NOT NULL,                                  -- of the entry that minted it
    first     bigint NOT NULL CHECK (first >= 0),
    size      bigint NOT NULL CHECK (size > 0),
    price     bigint,                                           -- minor units paid, if bought
    source_id uuid NOT NULL,                                    -- order, reversed gift, adjustment
    unit      smallint NOT NULL,
    kind      smallint NOT NULL CHECK (kind > 0),               -- paid, bonus, reversal, adjustment
    currency  text,
    owner_id  text COLLATE "C" NOT NULL,
    PRIMARY KEY (owner_id, unit, seq),
    CHECK ((price IS NULL) = (currency IS NULL))
);

-- Positions [first, first + size) that an entry took instead of the oldest coins; all of them were
-- unspent.
CREATE TABLE withdrawal (
    seq      bigint NOT NULL,                                   -- of the entry
    first    bigint NOT NULL CHECK (first >= 0),
    size     bigint NOT NULL CHECK (size > 0),
    unit     smallint NOT NULL,
    owner_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (owner_id, unit, first)
);

-- Personal data, kept apart from what cannot be erased. The stored request contains a hash of the
-- value with this salt; both are deleted together.
CREATE TABLE personal_data (
    transaction_id uuid PRIMARY KEY,
    generation     integer NOT NULL,                            -- the owner's erasures before it
    salt           bytea NOT NULL,
    owner_id       text COLLATE "C" NOT NULL,
    value          text                                         -- NULL: only compared, never shown
);
CREATE INDEX personal_data_owner ON personal_data (owner_id);

-- An erasure in progress: data of this generation or an earlier one is hidden, and to be deleted.
CREATE TABLE erasure (
    create_time timestamptz NOT NULL,
    generation  integer NOT NULL CHECK (generation >= 0),
    owner_id    text COLLATE "C" PRIMARY KEY
);

-- A subquery and not a join, so that a look-up by key remains one when the view is joined.
CREATE VIEW shown_personal_data AS
    SELECT p.transaction_id, p.owner_id, p.generation, p.salt, p.value
      FROM personal_data p
     WHERE p.generation > coalesce(
               (SELECT e.generation FROM erasure e WHERE e.owner_id = p.owner_id), -1
           );

-- Roles are shared by the cluster: an operator or the server of another database may have made it.
DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'giftpay_server') THEN
        CREATE ROLE giftpay_server NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- made just now
END
$$;
DO $$
BEGIN
    IF NOT pg_has_role(CURRENT_USER, 'giftpay_server', 'MEMBER') THEN
        GRANT giftpay_server TO CURRENT_USER;
    END IF;
END
$$;
GRANT SELECT, INSERT ON entry, transactions, claim TO giftpay_server;
GRANT SELECT, INSERT, UPDATE ON owner, account, hold TO giftpay_server;
GRANT SELECT, INSERT ON lot, withdrawal TO giftpay_server;
-- Values and salts are read only through the view.
GRANT SELECT (transaction_id, owner_id, generation), INSERT, DELETE ON personal_data
    TO giftpay_server;
GRANT SELECT ON shown_personal_data TO giftpay_server;
GRANT SELECT, INSERT, UPDATE, DELETE ON erasure TO giftpay_server;

-- The preconditions for writing a batch.
--
-- Optimistic concurrency control: the writing statement names the version that the batch had read of
-- each account. If another batch has changed one, it fails here with a serialization failure; nothing
-- was written, and the batch is decided again.
--
-- A command is posted within a stated time of being accepted or never, even if the server was frozen
-- in between (GPT01). A server whose clock is ahead of this one's books nothing (GPT02). These
-- SQLSTATEs are our own.
CREATE FUNCTION assert_writable(unchanged boolean, earliest timestamptz, latest timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT unchanged THEN
        RAISE EXCEPTION 'the books changed since they were read'
            USING ERRCODE = 'serialization_failure';
    ELSIF clock_timestamp() NOT BETWEEN earliest AND latest THEN
        RAISE EXCEPTION 'it is %, and the batch was to be posted from % to %',
            clock_timestamp(), earliest, latest
            USING ERRCODE = CASE WHEN clock_timestamp() > latest THEN 'GPT01' ELSE 'GPT02' END;
    END IF;
END
$$;
