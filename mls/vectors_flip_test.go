package mls

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestVectorsNoticeOneFlippedByte proves that the runners can fail: in each
// file, for each field of the first case that runs, one byte is changed, and the
// run must fail.
func TestVectorsNoticeOneFlippedByte(t *testing.T) {
	dir := vectorFolder(t)
	if dir == "" {
		t.Skip(howToGetVectors)
	}
	files := readVectors(t, dir)
	for _, name := range sortedKeys(files) {
		if vectorRunners[name] == nil || strings.HasPrefix(name, "interop-configs/") {
			continue // TestVectors says so; TestScenariosNoticeOneFlippedByte does those
		}
		t.Run(strings.TrimSuffix(name, ".json"), func(t *testing.T) { flipFields(t, name, files[name]) })
	}
}

// TestOwnVectorsNoticeOneFlippedByte is the same for the own vectors.
func TestOwnVectorsNoticeOneFlippedByte(t *testing.T) {
	files := readVectors(t, filepath.Join("testdata", "vectors"))
	for _, name := range sortedKeys(files) {
		t.Run(strings.TrimSuffix(name, ".json"), func(t *testing.T) { flipFields(t, name, files[name]) })
	}
}

func flipFields(t *testing.T, name string, raw []byte) {
	var list []any
	if json.Unmarshal(raw, &list) != nil {
		var whole any
		if err := json.Unmarshal(raw, &whole); err != nil {
			t.Fatal(err)
		}
		flipCase(t, name, whole, false)
		return
	}
	flipCase(t, name, richestCase(list), true)
}

// richestCase returns the case with the most kinds of field among those of
// suites that run, the smallest of them if several.
func richestCase(list []any) any {
	var best any
	most, size := -1, 0
	for _, v := range list {
		fields, _ := v.(map[string]any)
		if s, _ := fields["cipher_suite"].(float64); s == 4 || s == 6 {
			continue
		}
		kinds := map[string]bool{}
		b, _ := json.Marshal(v)
		walkLeaves(v, "", func(path string, _ any, _ func(any)) { kinds[path] = true })
		if len(kinds) > most || len(kinds) == most && len(b) < size {
			best, most, size = v, len(kinds), len(b)
		}
	}
	return best
}

// flipCase changes one leaf of each kind in turn.
func flipCase(t *testing.T, name string, v any, list bool) {
	rule, flipped, done := vectorFlips[name], 0, map[string]bool{}
	walkLeaves(v, "", func(path string, value any, set func(any)) {
		if done[path] || strings.HasSuffix(path, "cipher_suite") || rule.not != nil && rule.not.MatchString(path) {
			return
		}
		changed := flip(value, rule.first)
		if changed == nil {
			return
		}
		done[path] = true
		set(changed)
		if f := runChanged(t, name, v, list); len(f.failures) == 0 {
			t.Errorf("a changed byte in %s went unnoticed", path)
		}
		set(value)
		flipped++
	})
	if flipped == 0 {
		t.Error("no field was changed")
	}
	if f := runChanged(t, name, v, list); len(f.failures) > 0 {
		t.Errorf("unchanged, it fails: %s", f.failures[0])
	}
}

func runChanged(t *testing.T, name string, v any, list bool) *vectorFile {
	if list {
		v = []any{v}
	}
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	f := &vectorFile{raw: raw}
	vectorRunners[name](f)
	return f
}

// flip changes one bit of a hex string, the end of another text, or a number by
// one; nil if there is nothing to change.
func flip(value any, first bool) any {
	switch value := value.(type) {
	case float64:
		return value + 1
	case string:
		b, err := hex.DecodeString(value)
		if err != nil {
			return value + "x"
		}
		if len(b) == 0 {
			return nil
		}
		i := len(b) / 2
		if first {
			i = 0
		}
		b[i] ^= 1
		return hex.EncodeToString(b)
	}
	return nil
}

// walkLeaves visits every string and number; indices of lists are left out of
// its path, so that a path names a kind of field.
func walkLeaves(v any, path string, visit func(path string, value any, set func(any))) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range sortedKeys(v) {
			walkChild(v[k], path+"."+k, func(x any) { v[k] = x }, visit)
		}
	case []any:
		for i := range v {
			walkChild(v[i], path+"[]", func(x any) { v[i] = x }, visit)
		}
	}
}

func walkChild(v any, path string, set func(any), visit func(path string, value any, set func(any))) {
	switch v.(type) {
	case string, float64:
		visit(strings.TrimPrefix(path, "."), v, set)
	default:
		walkLeaves(v, path, visit)
	}
}

func TestFlipChangesWhatItIsGiven(t *testing.T) {
	for in, want := range map[any]string{"00ff00": "00fe00", 3.0: "4", "text": "textx", "": "<nil>"} {
		if got := fmt.Sprint(flip(in, false)); got != want {
			t.Errorf("flip(%v) = %v, want %s", in, got, want)
		}
	}
}
