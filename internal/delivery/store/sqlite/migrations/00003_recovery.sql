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
