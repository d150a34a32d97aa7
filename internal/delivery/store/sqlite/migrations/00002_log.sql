-- +goose Up
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

