package rpc

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// crossing gives a nil pointer to every type that the tables name.
func crossing() (all []record) {
	seen := map[string]bool{}
	add := func(r record) {
		if r != nil && !seen[nameOf(r)] {
			seen[nameOf(r)] = true
			all = append(all, r)
		}
	}
	for _, m := range methods {
		add(m.request)
		add(m.answer)
	}
	for _, e := range events {
		add(e)
	}
	for _, x := range exchanges {
		add(x.tells)
		add(x.answer)
	}
	add((*Error)(nil))
	return all
}

func fresh(r record) record { return reflect.New(reflect.TypeOf(r).Elem()).Interface().(record) }

// pieces are what strings are made of here: what has to be escaped, what looks
// like JSON, what is no text.
var pieces = []string{"", "a", "\"", "\\", "/", "\x00", "\n", "\x1f", "\x7f", "é", "\u2028", "\ufffd", "😀", "<b>", `\u0041`, "{}", "null", "\xff", "\xed\xa0\x80"}

// random fills a value with whatever its type can hold; lists and maps are never
// nil, since they are never written as null.
func random(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			random(r, v.Field(i))
		}
	case reflect.Pointer:
		if r.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			random(r, v.Elem())
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(3), 3))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			random(r, v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{}))
		for range r.IntN(3) {
			v.SetMapIndex(reflect.ValueOf(words(r)), reflect.ValueOf(words(r)))
		}
	case reflect.String:
		v.SetString(words(r))
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int64:
		v.SetInt([]int64{0, 1, -1, math.MaxInt32, math.MaxInt64, math.MinInt64, r.Int64()}[r.IntN(7)] & int64(^uint(0)>>1))
	case reflect.Uint32:
		v.SetUint(uint64(r.Uint32()))
	default:
		panic(v.Kind())
	}
}

func words(r *rand.Rand) (s string) {
	for range r.IntN(4) {
		s += pieces[r.IntN(len(pieces))]
	}
	return s
}

func TestJSONIsWhatTheLibraryWritesAndReads(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, kind := range crossing() {
		for range 300 {
			v := fresh(kind)
			random(r, reflect.ValueOf(v).Elem())
			theirs, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			ours := encode(v)
			want, a, b := fresh(kind), fresh(kind), fresh(kind)
			if err := json.Unmarshal(theirs, want); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(ours, a); err != nil {
				t.Fatalf("%s: the library does not read %s: %v", nameOf(v), ours, err)
			}
			if err := decode(theirs, b); err != nil {
				t.Fatalf("%s: %s is not read", nameOf(v), theirs)
			}
			if !reflect.DeepEqual(want, a) || !reflect.DeepEqual(want, b) {
				t.Fatalf("%s: the library has %s, written %s, read %+v", nameOf(v), theirs, ours, b)
			}
		}
	}
}

func TestFramesAreWhatTheLibraryWritesAndReads(t *testing.T) {
	type frame struct { // Frame with the library's name for JSON within JSON
		ID      uint32          `json:"id"`
		Kind    Kind            `json:"kind"`
		Method  string          `json:"method,omitempty"`
		Payload json.RawMessage `json:"payload,omitempty"`
	}
	for _, f := range []Frame{
		{ID: 1, Kind: KindCall, Method: "a\"b", Payload: []byte(`{"a":[1,-2.5e+7,"\ud83d\ude00",true,null]}`)},
		{ID: math.MaxUint32, Kind: KindOK, Payload: []byte(`{}`)}, {Kind: KindEvent},
	} {
		want := frame{f.ID, f.Kind, f.Method, f.Payload}
		theirs, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got frame
		if err := json.Unmarshal(f.JSON(), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("the library reads %+v: %v", got, err)
		}
		if g, err := ParseJSON(theirs); err != nil || !reflect.DeepEqual(g, f) {
			t.Errorf("%s is read as %+v: %v", theirs, g, err)
		}
		f.Bytes = []byte("raw")
		if g, err := ParseFrame(f.Encode()); err != nil || !reflect.DeepEqual(g, f) {
			t.Errorf("%+v comes back as %+v: %v", f, g, err)
		}
	}
}

func TestListsAreNeverNull(t *testing.T) {
	for _, kind := range crossing() {
		if b := encode(fresh(kind)); strings.Contains(string(b), "null") || !json.Valid(b) {
			t.Errorf("%s is written as %s", nameOf(kind), b)
		}
	}
}

func TestJSONIsRefused(t *testing.T) {
	message := fresh((*SearchHit)(nil))
	random(rand.New(rand.NewPCG(3, 4)), reflect.ValueOf(message).Elem())
	whole := encode(message)
	for n := range whole {
		if decode(whole[:n], new(SearchHit)) == nil {
			t.Fatalf("%s is read", whole[:n])
		}
	}
	for _, text := range []string{
		`[]`, `"a"`, `7`, `{}x`, `{"handle":"a","handle":"b"}`, `{"handle":7}`, `{"handle":"` + "\n" + `"}`,
		`{"handle":"\x"}`, `{"handle":"\u12g4"}`, `{"handle":"\u+123"}`, `{'handle':"a"}`, `{"handle":"a",}`, `{,}`,
		`{"handle" "a"}`, `{"handle":"a" "server":"b"}`, `{"other":01}`, `{"other":1.}`, `{"other":.5}`, `{"other":+1}`,
		`{"other":1e}`, `{"other":-}`, `{"other":nul}`, `{"other":[1,]}`, `{"other":` + strings.Repeat("[", 100000) + `}`,
	} {
		if decode([]byte(text), new(LinkRequest)) == nil {
			t.Errorf("%.40s is read", text)
		}
	}
	for _, text := range []string{
		`{"limit":"1"}`, `{"limit":1.5}`, `{"limit":1e2}`, `{"limit":99999999999999999999}`, `{"limit":true}`, `{"limit":[]}`,
	} {
		if decode([]byte(text), new(SearchRequest)) == nil {
			t.Errorf("%s is read", text)
		}
	}
	for _, text := range []string{`{"id":-1,"kind":"ok"}`, `{"id":4294967296,"kind":"ok"}`, `{"id":1,"kind":"else"}`, `{"id":1}`} {
		if _, err := ParseJSON([]byte(text)); err == nil {
			t.Errorf("%s is a frame", text)
		}
	}
	for _, text := range []string{`{"ranges":[[1]]}`, `{"ranges":[[1,2,3]]}`, `{"ranges":[["1",2]]}`, `{"ranges":[7]}`, `{"ranges":{}}`, `{"message":[]}`} {
		if decode([]byte(text), new(SearchHit)) == nil {
			t.Errorf("%s is read", text)
		}
	}
}

func TestJSONIsReadLeniently(t *testing.T) {
	var q LinkRequest
	text := "\n { \"other\" : {\"a\":[ 1 , -0.5e-3, {} , [] ]} , \"server\" : null ,\t\"handle\":\"\\u0061\\/\\ud83d\\ude00\\ud800x\" } \r\n"
	if err := decode([]byte(text), &q); err != nil || q != (LinkRequest{Handle: "a/😀\ufffdx"}) {
		t.Errorf("%+v %v", q, err)
	}
	if err := decode([]byte("null"), &q); err != nil {
		t.Error(err)
	}
}

// FuzzJSON: what is read is JSON, means the same to the library, and is read again
// as it was.
func FuzzJSON(f *testing.F) {
	all := []record{(*SearchHit)(nil), (*Settings)(nil), (*SendRequest)(nil), (*Status)(nil), (*MessageIDs)(nil), (*Error)(nil)}
	r := rand.New(rand.NewPCG(5, 6))
	for i, kind := range all {
		for range 5 {
			v := fresh(kind)
			random(r, reflect.ValueOf(v).Elem())
			f.Add(uint8(i), encode(v))
		}
	}
	f.Fuzz(func(t *testing.T, i uint8, b []byte) {
		v := fresh(all[int(i)%len(all)])
		if decode(b, v) != nil {
			return
		}
		if !json.Valid(b) {
			t.Fatalf("%q is read and is not JSON", b)
		}
		text := encode(v)
		again, theirs := fresh(v), fresh(v)
		if err := decode(text, again); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, theirs); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(again, theirs) || string(encode(again)) != string(text) {
			t.Fatalf("%q: %+v, %+v", b, again, theirs)
		}
	})
}
