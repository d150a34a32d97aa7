package store

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/data.md anew")

const document = "../../../docs/data.md"

// dataMap is docs/data.md: Annotations for people.
func dataMap() string {
	var b strings.Builder
	b.WriteString(`# What the server keeps, and what an order could obtain of it

Made from ` + "`internal/delivery/store`" + ` by ` + "`go test ./internal/delivery/store -run Document -update`" + `.
A test compares this page with the annotations, another the annotations with the
database's real schema: a column that is not here cannot exist. The clean-up deletes
by the same rules.

Nothing else is stored: no addresses, no times finer than a minute (but for the start of a
new version of the program), no read marks, no contact lists, no names of groups, files or devices, and nothing that joins an account to
a conversation. Beside the database there are the files of ` + "`blobs/`" + ` (ciphertext under
random names) and the operator's key.
`)
	for _, t := range Annotations {
		fmt.Fprintf(&b, "\n## %s\n\nKept %s.\n\n| field | for | encrypted | an order obtains |\n| --- | --- | --- | --- |\n", t.Name, t.Keep.Rule)
		for _, f := range t.Fields {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Column, f.Purpose, f.Encryption, f.Order)
		}
	}
	return b.String()
}

func TestDocumentIsUpToDate(t *testing.T) {
	if *update {
		if err := os.WriteFile(document, []byte(dataMap()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != dataMap() {
		t.Error("docs/data.md is not what the annotations say: go test ./internal/delivery/store -run Document -update")
	}
}
