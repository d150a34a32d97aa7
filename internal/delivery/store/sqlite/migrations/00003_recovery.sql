-- +goose Up
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
