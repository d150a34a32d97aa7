package mls

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The vector files are not part of this repository (they carry no licence).
const howToGetVectors = `the official test vectors are not here. To get them:
	git clone https://github.com/mlswg/mls-implementations
	git -C mls-implementations checkout cfd450286d1bfd9cd2519b95c80f9771f94a5b1a
then put test-vectors/* into DIR/rfc9420, the runner's recorded passive-client
files into DIR/passive-interop and its configs into DIR/interop-configs, and set
HUIS_MLS_VECTORS=DIR. Files may be gzipped. Our own vectors in testdata run anyway`

// vectorFile is one file of cases under way.
type vectorFile struct {
	raw                []byte
	cases, run, others int
	failures           []string
}

// vectorCase collects what one case asserted; it is done after the first failure.
type vectorCase struct {
	asserted int
	failure  string
}

// vectorRunners holds for each file, named by folder and name without .gz, what
// runs it. Files register themselves in init.
var vectorRunners = map[string]func(*vectorFile){}

// vectorFlips holds exceptions from "a flipped byte in any field is noticed":
// for a file, what of its fields to flip and where.
var vectorFlips = map[string]flipRule{}

type flipRule struct {
	// not matches paths of fields whose change the format cannot reveal, each
	// for a reason given where the rule is registered.
	not *regexp.Regexp
	// first flips the first byte instead of the middle one.
	first bool
}

// registerVectors says how each case of a file that is a JSON list runs. A case
// with "cipher_suite" 4 or 6 is of another suite and does not run.
func registerVectors[T any](name string, run func(c *vectorCase, v *T)) {
	vectorRunners[name] = func(f *vectorFile) {
		var list []json.RawMessage
		if err := json.Unmarshal(f.raw, &list); err != nil {
			f.failures = append(f.failures, err.Error())
			return
		}
		for i, raw := range list {
			var head struct {
				CipherSuite CipherSuite `json:"cipher_suite"`
			}
			_ = json.Unmarshal(raw, &head) // a list of something else has no suite
			f.runCase(fmt.Sprintf("case %d", i), head.CipherSuite, func(c *vectorCase) {
				var v T
				d := json.NewDecoder(bytes.NewReader(raw))
				d.DisallowUnknownFields()
				if c.noError("JSON", d.Decode(&v)) {
					run(c, &v)
				}
			})
		}
	}
}

// runCase runs one case. suite 0: the case has none.
func (f *vectorFile) runCase(name string, suite CipherSuite, run func(*vectorCase)) {
	f.cases++
	if suite == X448AES256SHA512Ed448 || suite == X448ChaChaSHA512Ed448 {
		f.others++
		return
	}
	var c vectorCase
	run(&c)
	switch {
	case c.failure != "":
		f.failures = append(f.failures, fmt.Sprintf("%s (suite %#x): %s", name, uint16(suite), c.failure))
	case c.asserted == 0:
		f.failures = append(f.failures, name+" asserted nothing")
	default:
		f.run++
	}
}

func (f *vectorFile) summary() string {
	return fmt.Sprintf("%d cases, %d run, %d of other suites", f.cases, f.run, f.others)
}

// ok asserts cond; false means the case has failed and should return.
func (c *vectorCase) ok(what string, cond bool) bool {
	c.asserted++
	if !cond && c.failure == "" {
		c.failure = what
	}
	return c.failure == ""
}

func (c *vectorCase) equal(what string, got, want []byte) bool {
	if bytes.Equal(got, want) {
		return c.ok(what, true)
	}
	return c.ok(fmt.Sprintf("%s is %s, want %s", what, short(got), short(want)), false)
}

func (c *vectorCase) noError(what string, err error) bool {
	if err == nil {
		return c.failure == ""
	}
	return c.ok(fmt.Sprintf("%s: %v", what, err), false)
}

func short(b []byte) string {
	if len(b) > 40 {
		return fmt.Sprintf("%x… (%d bytes)", b[:40], len(b))
	}
	return fmt.Sprintf("%x", b)
}

// hexBytes is hex in JSON; null is nil.
type hexBytes []byte

func (h *hexBytes) UnmarshalJSON(b []byte) error {
	var s *string
	if err := json.Unmarshal(b, &s); err != nil || s == nil {
		return err
	}
	v, err := hex.DecodeString(*s)
	*h = v
	return err
}

func (h hexBytes) MarshalJSON() ([]byte, error) {
	if h == nil {
		return []byte("null"), nil
	}
	return json.Marshal(hex.EncodeToString(h))
}

// vectorFolder finds the vectors: HUIS_MLS_VECTORS, else shared/mls-vectors
// beside this checkout or above it. "" if there are none.
func vectorFolder(t *testing.T) string {
	if dir := os.Getenv("HUIS_MLS_VECTORS"); dir != "" {
		if _, err := os.Stat(dir); err != nil {
			t.Fatalf("HUIS_MLS_VECTORS: %v", err)
		}
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if candidate := filepath.Join(dir, "shared", "mls-vectors"); isDir(candidate) {
			return candidate
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// readVectors reads every vector file below dir by folder and name.
func readVectors(t *testing.T, dir string) map[string][]byte {
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimSuffix(filepath.ToSlash(path), ".gz")
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".json") {
			return err
		}
		raw, err := readMaybeGzip(path)
		name, _ = filepath.Rel(filepath.ToSlash(dir), name)
		files[filepath.ToSlash(name)] = raw
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

func readMaybeGzip(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil || !strings.HasSuffix(path, ".gz") {
		return b, err
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// TestVectors runs every official vector and prints one line for each file.
func TestVectors(t *testing.T) {
	dir := vectorFolder(t)
	if dir == "" {
		t.Skip(howToGetVectors)
	}
	files := readVectors(t, dir)
	for _, name := range sortedKeys(vectorRunners) {
		if files[name] == nil {
			t.Errorf("%s is missing in %s", name, dir)
		}
	}
	for _, name := range sortedKeys(files) {
		run := vectorRunners[name]
		if run == nil {
			t.Errorf("%s: nothing runs this file", name)
			continue
		}
		t.Run(strings.TrimSuffix(name, ".json"), func(t *testing.T) {
			t.Parallel()
			runVectorFile(t, name, files[name])
		})
	}
}

// TestOwnVectors runs the vectors made by this package, for every suite.
func TestOwnVectors(t *testing.T) {
	files := readVectors(t, filepath.Join("testdata", "vectors"))
	for _, name := range sortedKeys(files) {
		t.Run(strings.TrimSuffix(name, ".json"), func(t *testing.T) {
			if vectorRunners[name] == nil {
				t.Fatal("nothing runs this file")
			}
			runVectorFile(t, "testdata/vectors/"+name, files[name], vectorRunners[name])
		})
	}
}

func runVectorFile(t *testing.T, name string, raw []byte, runner ...func(*vectorFile)) {
	f := &vectorFile{raw: raw}
	append(runner, vectorRunners[name])[0](f)
	for i, failure := range f.failures {
		if i == 10 {
			t.Errorf("and %d more", len(f.failures)-i)
			break
		}
		t.Error(failure)
	}
	if f.cases == 0 || f.run+f.others != f.cases {
		t.Errorf("%d of %d cases neither ran nor are of suite 4 or 6", f.cases-f.run-f.others, f.cases)
	}
	fmt.Printf("%s: %s\n", name, f.summary())
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
