package sqlite

import (
	"context"
	"database/sql"
	_ "embed"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"codeberg.org/huis/huis/internal/delivery/store"
)

//go:embed schema.sql
var schema string

// tables returns the columns of every table and the statements that made
// everything, without regard to white space.
func tables(t *testing.T, db *sql.DB) (columns map[string][]string, made map[string]string) {
	t.Helper()
	columns, made = map[string][]string{}, map[string]string{}
	rows, err := db.Query("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var kind, name, statement string
		if err := rows.Scan(&kind, &name, &statement); err != nil {
			t.Fatal(err)
		}
		made[name] = strings.Join(strings.Fields(statement), " ")
		if kind == "table" {
			columns[name] = nil
		}
	}
	for name := range columns {
		info, err := db.Query("SELECT name FROM pragma_table_info($1)", name)
		if err != nil {
			t.Fatal(err)
		}
		for info.Next() {
			var c string
			if err := info.Scan(&c); err != nil {
				t.Fatal(err)
			}
			columns[name] = append(columns[name], c)
		}
		info.Close()
	}
	return columns, made
}

func migrated(t *testing.T) *sql.DB {
	t.Helper()
	path := filepath.Join(t.TempDir(), "huis.db")
	openTest(t, path)
	db, err := sql.Open("sqlite", dsn(path, true))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestSchemaAndMigrationsAgree(t *testing.T) {
	direct, err := sql.Open("sqlite", dsn(filepath.Join(t.TempDir(), "direct.db"), false))
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()
	if _, err := direct.Exec(schema); err != nil {
		t.Fatal(err)
	}
	_, want := tables(t, direct)
	_, got := tables(t, migrated(t))
	delete(got, "goose_db_version")
	if len(want) < 15 || !maps.Equal(got, want) {
		for name := range want {
			if got[name] != want[name] {
				t.Errorf("%s: migrations make\n%s\nschema.sql\n%s", name, got[name], want[name])
			}
		}
		t.Errorf("%d from migrations, %d from schema.sql", len(got), len(want))
	}
}

func TestEveryColumnIsAnnotated(t *testing.T) {
	real, made := tables(t, migrated(t))
	annotated := map[string][]string{}
	for _, table := range store.Annotations {
		if table.Keep.Rule == "" || len(table.Keep.Key) == 0 || (table.Keep.Where != "") != (table.Keep.Bound != nil) && !strings.Contains(table.Keep.Where, "NOT EXISTS") {
			t.Errorf("%s: no retention", table.Name)
		}
		if key := strings.Join(table.Keep.Key, ", "); !strings.Contains(made[table.Name], "PRIMARY KEY ("+key+")") && !regexp.MustCompile(key+" [A-Z ]*PRIMARY KEY").MatchString(made[table.Name]) {
			t.Errorf("%s: its primary key is not %s", table.Name, key)
		}
		for _, f := range table.Fields {
			if f.Purpose == "" || f.Encryption == "" || f.Order == "" {
				t.Errorf("%s.%s: not annotated in full", table.Name, f.Column)
			}
			annotated[table.Name] = append(annotated[table.Name], f.Column)
		}
	}
	if missing := differences(real, annotated); len(missing) > 0 {
		t.Errorf("stored but not annotated, or the reverse: %v", missing)
	}
	real["planted"] = []string{"account", "conversation"}
	if missing := differences(real, annotated); len(missing) != 1 {
		t.Error("a table without annotations is not noticed")
	}
}

func differences(a, b map[string][]string) (names []string) {
	for name := range a {
		if !slices.Equal(a[name], b[name]) {
			names = append(names, name)
		}
	}
	for name := range b {
		if a[name] == nil {
			names = append(names, name)
		}
	}
	return names
}

// No table may show the order in which rows came, and none may have a column of
// an account and one of a conversation.
func TestNoTableJoinsAccountsToConversations(t *testing.T) {
	columns, made := tables(t, migrated(t))
	for name, all := range columns {
		if name != "goose_db_version" && !strings.HasSuffix(made[name], "WITHOUT ROWID") {
			t.Errorf("%s has a rowid", name)
		}
		account := slices.Contains(all, "account") || name == "account"
		conversation := slices.Contains(all, "conversation") || name == "conversation"
		if account && conversation {
			t.Errorf("%s joins accounts to conversations", name)
		}
	}
}

func TestAnotherSchemaVersionIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "huis.db")
	s := openTest(t, path)
	if err := s.writer.submit(context.Background(), 1, func(t *tx) error {
		return t.run("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)")
	}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if s, err := Open(context.Background(), path); err == nil {
		s.Close()
		t.Error("a database of a later version is opened")
	}
}
