package kt

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"codeberg.org/huis/huis/internal/wire"
)

// The vectors in testdata are for verifiers in other languages; README.md says
// what each input is. Those here are made anew and compared.

var update = flag.Bool("update", false, "write testdata/*.json anew")

// vectorFile is one file: what one function of a verifier accepts and refuses.
type vectorFile struct {
	Check string   `json:"check"`
	Cases []vector `json:"cases"`
}

type vector struct {
	Name    string `json:"name"`
	Rule    string `json:"rule,omitempty"` // that a refused case breaks, of docs/validation.md
	Word    string `json:"word,omitempty"` // InvalidError.Rule
	Verdict string `json:"verdict"`        // accepted or refused
	Input   input  `json:"input"`
	Output  input  `json:"output,omitempty"`
}

// input has bytes as hex, lists of bytes, numbers and text.
type input map[string]any

func (in input) bytes(name string) []byte {
	s, _ := in[name].(string)
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(name + " is not hex")
	}
	return b
}

func (in input) list(name string) (all [][]byte) {
	items, _ := in[name].([]any)
	for _, item := range items {
		b, err := hex.DecodeString(item.(string))
		if err != nil {
			panic(name + " is not hex")
		}
		all = append(all, b)
	}
	return all
}

func (in input) text(name string) string { s, _ := in[name].(string); return s }
func (in input) number(name string) uint64 {
	f, _ := in[name].(float64)
	return uint64(f)
}

func (in input) hash(name string) (h Hash) {
	copy(h[:], in.bytes(name))
	return h
}

func (in input) hashes(name string) (all []Hash) {
	for _, b := range in.list(name) {
		all = append(all, Hash(b))
	}
	return all
}

func (in input) witnesses() (all []NoteKey, err error) {
	items, _ := in["witnesses"].([]any)
	for _, item := range items {
		k, err := ParseWitnessKey(item.(string))
		if err != nil {
			return nil, err
		}
		all = append(all, k)
	}
	return all, nil
}

// checks are the functions of a verifier, by the names of their files.
var checks = map[string]func(input) (input, error){
	"chain":       checkChain,
	"name":        checkName,
	"vrf":         checkVRF,
	"map":         checkMap,
	"label":       checkLabel,
	"replay":      checkReplay,
	"consistency": checkConsistency,
	"inclusion":   checkInclusion,
	"checkpoint":  checkCheckpoint,
	"key":         checkKey,
	"policy":      checkPolicy,
	"quorum":      checkQuorum,
	"evidence":    checkEvidence,
	"succession":  checkSuccession,
}

func checkChain(in input) (input, error) {
	c, err := Verify(in.list("links"))
	if err != nil {
		return nil, err
	}
	return input{"account": c.Account().Hex(), "head": c.Head().Hex(), "live": len(c.Live())}, nil
}

func checkName(in input) (input, error) {
	var x Index // of the name; names that nobody left verify under any
	copy(x[:], in.bytes("index"))
	n, err := VerifyName(x, in.list("values"))
	if err != nil {
		return nil, err
	}
	return input{"holder": n.Last().Account().Hex()}, nil
}

func checkVRF(in input) (input, error) {
	out, err := VRFPublicKey(in.bytes("key")).Verify(in.bytes("alpha"), VRFProof(in.bytes("proof")))
	if err != nil {
		return nil, err
	}
	return input{"output": hex.EncodeToString(out[:])}, nil
}

func checkMap(in input) (input, error) {
	var p MapProof
	if err := wire.Decode(in.bytes("proof"), p.Wire); err != nil {
		return nil, err
	}
	leaf, err := p.Verify(in.hash("root"), Index(in.bytes("index")))
	return leafOutput(leaf), err
}

func leafOutput(leaf *MapLeaf) input {
	if leaf == nil {
		return input{"present": "no"}
	}
	return input{"present": "yes", "seq": int(leaf.Seq), "head": leaf.Head.Hex()}
}

func checkLabel(in input) (input, error) {
	var p LabelProof
	if err := wire.Decode(in.bytes("proof"), p.Wire); err != nil {
		return nil, err
	}
	leaf, err := p.Verify(VRFPublicKey(in.bytes("vrf_key")), MapKind(in.number("kind")), in.bytes("label"), in.hash("root"), in.list("values"))
	return leafOutput(leaf), err
}

func checkReplay(in input) (input, error) {
	var r Replay
	batches := in.list("batches")
	for i, b := range in.list("records") {
		record, err := ParseEpochRecord(b)
		if err != nil {
			return nil, err
		}
		var batch []BatchEntry
		err = wire.Decode(batches[i], func(c *wire.Codec) { wire.Vector(c, &batch, (*BatchEntry).Wire) })
		if err != nil {
			return nil, err
		}
		if r, err = r.Apply(record, batch); err != nil {
			return nil, err
		}
	}
	return input{"log_root": r.Root().Hex(), "map_root": r.Map().Root().Hex(), "labels": r.Map().Len()}, nil
}

func checkConsistency(in input) (input, error) {
	return nil, CheckConsistency(in.hashes("proof"), in.number("m"), in.hash("older"), in.number("n"), in.hash("newer"))
}

func checkInclusion(in input) (input, error) {
	return nil, CheckInclusion(in.hashes("proof"), in.number("n"), in.hash("root"), in.number("i"), in.hash("leaf"))
}

func checkCheckpoint(in input) (input, error) {
	log, err := ParseLogKey(in.text("log_key"))
	if err != nil {
		return nil, err
	}
	witnesses, err := in.witnesses()
	if err != nil {
		return nil, err
	}
	s, err := VerifyCheckpoint(in.bytes("note"), log, witnesses)
	if err != nil {
		return nil, err
	}
	var by []any
	for _, c := range s.Cosignatures {
		by = append(by, fmt.Sprintf("%s at %d", c.Witness.Name, c.Time.Unix()))
	}
	return input{"size": int(s.Size), "root": s.Root.Hex(), "cosigned": by}, nil
}

func checkKey(in input) (input, error) {
	parse := ParseLogKey
	if in.text("use") == "witness" {
		parse = ParseWitnessKey
	}
	k, err := parse(in.text("key"))
	if err != nil {
		return nil, err
	}
	return input{"name": k.Name, "public": hex.EncodeToString(k.Key[:])}, nil
}

func checkPolicy(in input) (input, error) {
	var last *SignedPolicy
	for i, b := range in.list("policies") {
		s, err := ParseSignedPolicy(b)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			err = s.VerifyFirst()
		} else {
			_, err = s.VerifyNext(&last.Policy)
		}
		if err != nil {
			return nil, err
		}
		last = s
	}
	return input{"hash": last.Policy.Hash().Hex()}, nil
}

var errQuorum = errors.New("the quorum is not satisfied")

func checkQuorum(in input) (input, error) {
	s, err := ParseSignedPolicy(in.bytes("policy"))
	if err != nil {
		return nil, err
	}
	signed, err := VerifyCheckpoint(in.bytes("note"), s.Policy.Log(), s.Policy.Witnesses)
	if err != nil {
		return nil, err
	}
	now := time.Unix(int64(in.number("now")), 0)
	if !s.Policy.Satisfied(signed.Cosignatures, now, time.Duration(in.number("max_age"))*time.Second) {
		return nil, errQuorum
	}
	return nil, nil
}

func checkEvidence(in input) (input, error) {
	kind, log, err := VerifyEvidence([]byte(in.text("file")))
	if err != nil {
		return nil, err
	}
	return input{"kind": kind, "key": log.LogText()}, nil
}

func checkSuccession(in input) (input, error) {
	log, err := ParseLogKey(in.text("log_key"))
	if err != nil {
		return nil, err
	}
	var p Succession
	if err := wire.Decode(in.bytes("proof"), p.Wire); err != nil {
		return nil, err
	}
	former, err := p.Verify(log)
	var by []any
	for _, a := range former {
		by = append(by, a.Hex())
	}
	return input{"former": by}, err
}

// encode is how the files are written: one case a line.
func (f *vectorFile) encode(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n\"check\": %q,\n\"cases\": [\n", f.Check)
	for i := range f.Cases {
		line, err := json.Marshal(&f.Cases[i])
		if err != nil {
			t.Fatal(err)
		}
		b.Write(line)
		if i < len(f.Cases)-1 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
	}
	b.WriteString("]\n}\n")
	return b.Bytes()
}

// TestVectors makes the vectors, compares them with the files, and has each
// file's function judge what stands in it.
func TestVectors(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	made := makeVectors(t)
	for _, name := range slices.Sorted(maps.Keys(checks)) {
		path := filepath.Join("testdata", name+".json")
		f := &vectorFile{Check: name, Cases: made[name]}
		if *update {
			if err := os.WriteFile(path, f.encode(t), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(file, f.encode(t)) {
			t.Errorf("%s is not what is made here: go test ./kt -run TestVectors -update", path)
		}
		var read vectorFile
		if err := json.Unmarshal(file, &read); err != nil || len(read.Cases) == 0 {
			t.Fatalf("%s: %d cases, %v", path, len(read.Cases), err)
		}
		for i := range read.Cases {
			judge(t, name, &read.Cases[i])
		}
	}
	if len(made) != len(checks) {
		t.Errorf("vectors of %d kinds, checks of %d", len(made), len(checks))
	}
}

func judge(t *testing.T, check string, v *vector) {
	t.Helper()
	out, err := checks[check](v.Input)
	var bad *InvalidError
	switch {
	case v.Verdict == "refused" && err == nil:
		t.Errorf("%s: %s: %s was accepted", check, v.Rule, v.Name)
	case v.Verdict == "refused" && errors.As(err, &bad) && bad.Rule != v.Word:
		t.Errorf("%s: %s: %s is refused by the rule %q, not %q", check, v.Rule, v.Name, bad.Rule, v.Word)
	case v.Verdict == "refused" && bad == nil && v.Word != "":
		t.Errorf("%s: %s: %s is refused, but not by the rule %q: %v", check, v.Rule, v.Name, v.Word, err)
	case v.Verdict == "accepted" && err != nil:
		t.Errorf("%s: %s was refused: %v", check, v.Name, err)
	case v.Verdict == "accepted":
		got, _ := json.Marshal(out)
		want, _ := json.Marshal(v.Output)
		if len(out)+len(v.Output) > 0 && !bytes.Equal(got, want) {
			t.Errorf("%s: %s gives %s, want %s", check, v.Name, got, want)
		}
	case v.Verdict != "refused":
		t.Errorf("%s: verdict %q", check, v.Verdict)
	}
}

// TestEveryRuleHasAVector holds the rules of kt in docs/validation.md, the
// functions and tests they name, and the vectors together.
func TestEveryRuleHasAVector(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "docs", "validation.md"))
	if err != nil {
		t.Fatal(err)
	}
	broken := map[string]bool{}
	for name := range checks {
		file, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var f vectorFile
		if err := json.Unmarshal(file, &f); err != nil {
			t.Fatal(err)
		}
		for _, v := range f.Cases {
			if v.Verdict == "refused" {
				broken[v.Rule] = true
			}
		}
	}
	rules, named := map[string]bool{}, map[string]bool{}
	source, tests := packageText(t)
	for _, m := range regexp.MustCompile(`(?m)^\| (K-\d+) \|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|$`).FindAllStringSubmatch(string(doc), -1) {
		rule := m[1]
		if rules[rule] {
			t.Errorf("%s stands there twice", rule)
		}
		if rules[rule] = true; !broken[rule] {
			t.Errorf("no vector breaks %s", rule)
		}
		for _, name := range codeNames(m[4]) {
			named[name] = true
			if !declares(source, name) {
				t.Errorf("%s: there is no %s", rule, name)
			}
		}
		for _, name := range codeNames(m[5]) {
			if !strings.Contains(tests, "\nfunc "+name+"(") {
				t.Errorf("%s: there is no test %s", rule, name)
			}
		}
		if len(codeNames(m[4])) == 0 || len(codeNames(m[5])) == 0 {
			t.Errorf("%s names no function or no test", rule)
		}
	}
	for rule := range broken {
		if !rules[rule] {
			t.Errorf("vectors break %s, which docs/validation.md does not have", rule)
		}
	}
	for _, name := range refusing(source) {
		if !named[name] {
			t.Errorf("%s refuses something but no rule names it", name)
		}
	}
	if len(rules) < 40 {
		t.Errorf("only %d rules were read", len(rules))
	}
}

var method = regexp.MustCompile(`^\((?:\w+ )?\*?(\w+)\) (\w+)\(`)

// refusing lists the functions that make an InvalidError.
func refusing(source string) (names []string) {
	for _, f := range strings.Split(source, "\nfunc ")[1:] {
		head, text, _ := strings.Cut(f, "\n")
		name, _, _ := strings.Cut(head, "(")
		if m := method.FindStringSubmatch(head); m != nil {
			name = m[1] + "." + m[2]
		}
		if strings.Contains(text, "invalid(") && name != "invalid" {
			names = append(names, name)
		}
	}
	return names
}

func codeNames(cell string) (names []string) {
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
		names = append(names, m[1])
	}
	return names
}

func packageText(t *testing.T) (source, tests string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") {
			tests += "\n" + string(b)
		} else {
			source += "\n" + string(b)
		}
	}
	return source, tests
}

// declares tells whether a function, or a method as Type.method, is declared.
func declares(source, name string) bool {
	typ, method, ok := strings.Cut(name, ".")
	if !ok {
		return strings.Contains(source, "\nfunc "+name+"(")
	}
	return regexp.MustCompile(`\nfunc \((\w+ )?\*?` + typ + `\) ` + method + `\(`).MatchString(source)
}
