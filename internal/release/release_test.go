package release

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"codeberg.org/huis/huis/kt"
)

func signer(t *testing.T, name, seed string) *kt.NoteSigner {
	t.Helper()
	s, err := kt.NewNoteSigner(name, []byte(strings.Repeat(seed, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// made is a release of one program: this test.
func made(t *testing.T) *Release {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "huis-v1-test"), b, 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := Make(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAReleaseIsMadeTwiceTheSame(t *testing.T) {
	r := made(t)
	bom, err := os.ReadFile(filepath.Join(r.Dir, BOMFile))
	if err != nil || !bytes.Contains(bom, []byte(`"pkg:golang/stdlib@go1.`)) {
		t.Fatalf("the list of modules: %v\n%s", err, bom)
	}
	again, err := Make(r.Dir)
	if err != nil || again.Sum != r.Sum || !bytes.Equal(again.Text, r.Text) {
		t.Errorf("made again: %v\n%s\n%s", err, r.Text, again.Text)
	}
}

func TestASignedReleaseVerifies(t *testing.T) {
	r, key := made(t), signer(t, "us", "a")
	if err := r.SignedBy(key.Public()); !errors.Is(err, ErrDiffers) {
		t.Errorf("not signed yet: %v", err)
	}
	if err := r.Sign(key); err != nil {
		t.Fatal(err)
	}
	r, err := Open(r.Dir)
	if err != nil || r.SignedBy(key.Public()) != nil || r.Check("huis-v1-test") != nil {
		t.Fatalf("signed: %v, %v", err, r.SignedBy(key.Public()))
	}
	names, err := r.Present()
	if err != nil || strings.Join(names, " ") != "huis-v1-test "+BOMFile {
		t.Errorf("present: %v, %v", names, err)
	}
	for _, other := range []*kt.NoteSigner{signer(t, "us", "b"), signer(t, "them", "a")} {
		if err := r.SignedBy(other.Public()); !errors.Is(err, ErrDiffers) {
			t.Errorf("signed by another: %v", err)
		}
	}
	if err := os.WriteFile(filepath.Join(r.Dir, "huis-v1-test"), []byte("another"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := r.Check("huis-v1-test"); !errors.Is(err, ErrDiffers) {
		t.Errorf("another program: %v", err)
	}
	if err := r.Check("huis-v2"); !errors.Is(err, ErrDiffers) {
		t.Errorf("a program that is not named: %v", err)
	}
	r.Text = append([]byte(strings.Repeat("0", 64)+"  extra\n"), r.Text...)
	if err := r.SignedBy(key.Public()); !errors.Is(err, ErrDiffers) {
		t.Errorf("other sums beside the note: %v", err)
	}
}

func TestMalformedSums(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	for _, text := range []string{
		"", "\n", sum, sum + "  a", sum + " a\n", sum + "  ../a\n", sum + "  ..\n", sum + "  b\n" + sum + "  a\n", sum + "  a\n" + sum + "  a\n",
		strings.ToUpper(sum) + "  a\n", sum[2:] + "  a\n", sum + "  a/b\n", sum + "  a\\b\n", sum + "  \n",
	} {
		if got, err := parse(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
	if _, err := parse(sum + "  a\n" + sum + "  b\n"); err != nil {
		t.Error(err)
	}
}

func TestNothingToRelease(t *testing.T) {
	dir := t.TempDir()
	if _, err := Make(dir); err == nil {
		t.Error("an empty folder is a release")
	}
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Make(dir); err == nil {
		t.Error("a text is a program")
	}
}
