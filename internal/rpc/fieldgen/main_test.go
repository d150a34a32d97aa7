package main

import (
	"bytes"
	"os"
	"testing"
)

func TestFieldsAreThoseOfTheTypes(t *testing.T) {
	want, err := generate("..")
	if err != nil {
		t.Fatal(err)
	}
	if have, err := os.ReadFile("../fields.go"); err != nil || !bytes.Equal(have, want) {
		t.Fatalf("internal/rpc/fields.go is not what the types say (%v): go generate ./internal/rpc", err)
	}
}
