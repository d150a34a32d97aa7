-- +goose Up
CREATE TABLE left_name (
	lookup  BLOB NOT NULL PRIMARY KEY,
	account BLOB NOT NULL,
	day     BIGINT NOT NULL
) WITHOUT ROWID;
