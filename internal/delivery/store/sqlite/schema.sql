-- The whole schema as it stands. migrations/ leads to the same; a test compares.
-- What each column is for stands in store.Annotations.
-- No table has a rowid: nothing keeps the order in which rows came.

CREATE TABLE conversation (
	id         BLOB NOT NULL PRIMARY KEY,
	epoch      BIGINT NOT NULL,
	floor      BIGINT NOT NULL,
	seq        BIGINT NOT NULL,
	chain      BLOB NOT NULL,
	bytes      BIGINT NOT NULL,
	ended1     BIGINT NOT NULL,
	ended2     BIGINT NOT NULL,
	ended3     BIGINT NOT NULL,
	sum        BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE member (
	conversation BLOB NOT NULL,
	mk           BLOB NOT NULL,
	from_seq     BIGINT NOT NULL,
	until_seq    BIGINT NOT NULL,
	PRIMARY KEY (conversation, mk)
) WITHOUT ROWID;

CREATE TABLE entry (
	conversation BLOB NOT NULL,
	seq          BIGINT NOT NULL,
	minute       BIGINT NOT NULL,
	hash         BLOB NOT NULL,
	kind         SMALLINT NOT NULL,
	epoch        BIGINT NOT NULL,
	mk           BLOB NOT NULL,
	extra_hash   BLOB NOT NULL,
	sig          BLOB NOT NULL,
	generation   BLOB NOT NULL,
	chain_prev   BLOB NOT NULL,
	kid          BLOB NOT NULL,
	stamp        BLOB NOT NULL,
	receipt_sum  BLOB NOT NULL,
	bytes        BLOB NOT NULL,
	PRIMARY KEY (conversation, seq)
) WITHOUT ROWID;

CREATE UNIQUE INDEX entry_hash ON entry (conversation, hash);

CREATE TABLE tag (
	conversation BLOB NOT NULL,
	tag          BLOB NOT NULL,
	PRIMARY KEY (conversation, tag)
) WITHOUT ROWID;

CREATE TABLE token (
	hash        BLOB NOT NULL PRIMARY KEY,
	expires_day BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE ticket (
	hash        BLOB NOT NULL PRIMARY KEY,
	account     BLOB NOT NULL,
	device      BLOB NOT NULL,
	expires_day BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE key_package (
	id          BLOB NOT NULL PRIMARY KEY,
	account     BLOB NOT NULL,
	device      BLOB NOT NULL,
	last_resort SMALLINT NOT NULL,
	expires_day BIGINT NOT NULL,
	bytes       BLOB NOT NULL
) WITHOUT ROWID;

CREATE INDEX key_package_device ON key_package (account, device, last_resort);

CREATE TABLE inbox (
	id      BLOB NOT NULL PRIMARY KEY,
	account BLOB NOT NULL,
	device  BLOB NOT NULL,
	day     BIGINT NOT NULL,
	sealed  BLOB NOT NULL
) WITHOUT ROWID;

CREATE INDEX inbox_device ON inbox (account, device, id);

CREATE TABLE blob (
	id    BLOB NOT NULL PRIMARY KEY,
	owner BLOB,
	size  BIGINT NOT NULL,
	hash  BLOB NOT NULL,
	done  SMALLINT NOT NULL,
	day   BIGINT NOT NULL
) WITHOUT ROWID;

CREATE INDEX blob_owner ON blob (owner);

CREATE TABLE pin (
	owner     BLOB NOT NULL,
	blob      BLOB NOT NULL,
	until_day BIGINT NOT NULL,
	PRIMARY KEY (owner, blob)
) WITHOUT ROWID;

CREATE INDEX pin_blob ON pin (blob);

CREATE TABLE account (
	id     BLOB NOT NULL PRIMARY KEY,
	lookup BLOB NOT NULL,
	handle BLOB NOT NULL,
	admin  SMALLINT NOT NULL,
	links  BIGINT NOT NULL
) WITHOUT ROWID;

CREATE UNIQUE INDEX account_lookup ON account (lookup);

CREATE TABLE link (
	account BLOB NOT NULL,
	n       BIGINT NOT NULL,
	bytes   BLOB NOT NULL,
	PRIMARY KEY (account, n)
) WITHOUT ROWID;

CREATE TABLE invite (
	token          BLOB NOT NULL PRIMARY KEY,
	uses           BIGINT NOT NULL,
	expires_minute BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE stamp_key (
	n          BIGINT NOT NULL PRIMARY KEY,
	kid        BLOB NOT NULL,
	public     BLOB NOT NULL,
	generation BLOB NOT NULL,
	sealed     BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE setting (
	name  TEXT NOT NULL PRIMARY KEY,
	value BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE epoch (
	n      BIGINT NOT NULL PRIMARY KEY,
	record BLOB NOT NULL,
	batch  BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE log_value (
	idx        BLOB NOT NULL,
	seq        BIGINT NOT NULL,
	kind       SMALLINT NOT NULL,
	opening    BLOB NOT NULL,
	commitment BLOB NOT NULL,
	value      BLOB NOT NULL,
	epoch      BIGINT NOT NULL,
	PRIMARY KEY (idx, seq)
) WITHOUT ROWID;

CREATE INDEX log_value_epoch ON log_value (epoch, idx, seq);


CREATE TABLE recovery (
	lookup  BLOB NOT NULL PRIMARY KEY,
	account BLOB NOT NULL
) WITHOUT ROWID;

CREATE UNIQUE INDEX recovery_account ON recovery (account);

CREATE TABLE backup (
	account BLOB NOT NULL PRIMARY KEY,
	pointer BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE account_blob (
	id   BLOB NOT NULL PRIMARY KEY,
	size BIGINT NOT NULL,
	hash BLOB NOT NULL,
	done SMALLINT NOT NULL,
	day  BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE account_pin (
	account   BLOB NOT NULL,
	blob      BLOB NOT NULL,
	until_day BIGINT NOT NULL,
	PRIMARY KEY (account, blob)
) WITHOUT ROWID;

CREATE INDEX account_pin_blob ON account_pin (blob);

CREATE TABLE label (
	lookup BLOB NOT NULL PRIMARY KEY,
	place  BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE left_name (
	lookup  BLOB NOT NULL PRIMARY KEY,
	account BLOB NOT NULL,
	day     BIGINT NOT NULL
) WITHOUT ROWID;
