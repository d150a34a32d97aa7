package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"codeberg.org/huis/huis/internal/audit"
	"codeberg.org/huis/huis/internal/evidence"
)

func TestABreachEndsAnAuditForSafety(t *testing.T) {
	proof, err := os.ReadFile(filepath.Join("testdata", "verify.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	_, proof, _ = bytes.Cut(proof, []byte("-- split.huis --\n"))
	for name, file := range map[string][]byte{".huis": proof, ".txt": evidence.Report("the log is shorter")} {
		k := auditCommand{Data: t.TempDir()}
		text, hint, code := explain(k.breach(&audit.Breach{Reason: "the log was rewritten", File: file}))
		kept, _ := filepath.Glob(filepath.Join(k.Data, "*"))
		if code != exitSafety || !strings.Contains(text, "rewritten") || len(kept) != 1 || !strings.HasSuffix(kept[0], name) || !strings.Contains(hint, kept[0]) {
			t.Errorf("%d, %q, %q, %v", code, text, hint, kept)
			continue
		}
		if b, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(b, file) {
			t.Error("another file was kept", err)
		}
	}
}

func TestAnAuditKeepsItsKey(t *testing.T) {
	k := auditCommand{Data: filepath.Join(t.TempDir(), "audit"), Name: "example.org"}
	first, err := k.signer()
	if err != nil {
		t.Fatal(err)
	}
	again, err := (&auditCommand{Data: k.Data}).signer()
	if err != nil || again.Public() != first.Public() || first.Public().Name != "example.org/huis-recomputed-map" {
		t.Errorf("%v, %v", again.Public(), err)
	}
	if _, err := (&auditCommand{Data: k.Data, Name: "example.net"}).signer(); err == nil {
		t.Error("signs under another name with the same key")
	}
	if _, err := (&auditCommand{Data: t.TempDir(), Name: "a b"}).signer(); err == nil {
		t.Error("a name with a space")
	}
	if err := os.WriteFile(filepath.Join(k.Data, "auditor.key"), []byte("x\nzz\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (&auditCommand{Data: k.Data}).signer(); err == nil {
		t.Error("a damaged key")
	}
}
