package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var limits = Limits{Depth: 8, Values: 100}

type inner struct {
	URI string `json:"uri"`
}

type outer struct {
	Name  string           `json:"name"`
	List  []inner          `json:"list"`
	Free  map[string]any   `json:"free"`
	Typed map[string]inner `json:"typed"`
	Raw   json.RawMessage  `json:"raw"`
	Long  string           `json:"https://example.com/test"`
}

func TestDecodeRefusesWhatCanBeReadInTwoWays(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"key twice", `{"name":"a","name":"b"}`, `key "name" in $: given twice`},
		{"unknown key twice", `{"x":1,"x":1}`, `key "x" in $: given twice`},
		{"key twice, once escaped", `{"name":"a","n\u0061me":"b"}`, `key "name" in $: given twice`},
		{"key twice below a list", `{"list":[{},{"uri":"a","uri":"a"}]}`, `key "uri" in $.list[1]: given twice`},
		{"key twice in free form", `{"free":{"a":{"b":1,"b":2}}}`, `key "b" in $.free.a: given twice`},
		{"key twice in raw", `{"raw":[{"b":1,"b":2}]}`, `key "b" in $.raw[0]: given twice`},
		{"case variant alone", `{"Name":"a"}`, `key "Name" in $: differs from "name" in case only`},
		{"case variant beside", `{"name":"a","NAME":"b"}`, `key "NAME" in $: differs from "name" in case only`},
		{"case variant by a long s", `{"li\u017ft":[]}`, `differs from "list" in case only`},
		{"case variant in a list", `{"list":[{"URI":"a"}]}`, `key "URI" in $.list[0]`},
		{"case variant in a typed map", `{"typed":{"k":{"Uri":"a"}}}`, `key "Uri" in $.typed.k`},
		{"case variant of a TypeURI", `{"https://example.com/Test":"a"}`, `differs from "https://example.com/test" in case only`},
		{"two values", `{} {}`, `more than one JSON value`},
		{"garbage behind", `{}]`, `more than one JSON value`},
		{"empty", ``, `unexpected EOF`},
		{"cut off", `{"name":"a"`, `unexpected EOF`},
		{"not UTF-8", "{\"name\":\"\xff\"}", `not valid UTF-8`},
		{"wrong type", `{"name":5}`, `cannot unmarshal number`},
		{"too deep", `{"free":{"a":{"a":{"a":{}}}}}`, `depth over the limit of 4`},
		{"too deep, lists", `{"raw":[[[[1]]]]}`, `depth over the limit of 4`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := Decode([]byte(tt.in), new(outer), Limits{4, 100})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Decode(%s) = %v, want an error with %q", tt.in, err, tt.want)
			}
		})
	}
}

func TestDecodeLeavesTheRestAlone(t *testing.T) {
	in := `{"name":"a","future":{"Name":"b"},"free":{"Name":1,"name":12345678901234567890},"list":[{"uri":"u"}],"raw":{"Raw":{}},
		"https://example.com/test":"t"}`
	var got outer
	if err := Decode([]byte(in), &got, limits); err != nil {
		t.Fatal(err)
	}
	want := outer{
		Name: "a", List: []inner{{URI: "u"}}, Raw: json.RawMessage(`{"Raw":{}}`), Long: "t",
		Free: map[string]any{"Name": json.Number("1"), "name": json.Number("12345678901234567890")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsAreTyped(t *testing.T) {
	var key *KeyError
	if err := Decode([]byte(`{"a":1,"a":2}`), new(outer), Limits{4, 100}); !errors.As(err, &key) || key.Key != "a" {
		t.Errorf("got %v, want a KeyError for a", err)
	}
	for _, tt := range []struct {
		in   string
		want LimitError
	}{
		{`[[[]]]`, LimitError{"depth", 2}},
		{`[{},{},{}]`, LimitError{"values", 3}},
		{`{"a":1,"b":2,"c":3}`, LimitError{"values", 3}},
	} {
		var limit *LimitError
		if err := Decode([]byte(tt.in), new(any), Limits{2, 3}); !errors.As(err, &limit) || *limit != tt.want {
			t.Errorf("%s: got %v, want %v", tt.in, err, &tt.want)
		}
	}
	if err := Decode([]byte(`[[2]]`), new(any), Limits{2, 3}); err != nil {
		t.Error(err)
	}
}

// The case variants of promoted fields would pass unseen.
func TestEmbeddedStructsAreRefused(t *testing.T) {
	defer func() {
		if r := recover(); r == nil || !strings.Contains(r.(string), "embedded field, inner") {
			t.Errorf("got %v", r)
		}
	}()
	_ = Decode([]byte(`{"URI":"a"}`), &struct{ inner }{}, limits)
}

// What Decode accepts, encoding/json reads alike; what encoding/json writes, Decode accepts.
func TestDecodeAgreesWithEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := outer{
			Name: rapid.String().Draw(t, "name"),
			List: rapid.SliceOf(rapid.Custom(func(t *rapid.T) inner { return inner{rapid.String().Draw(t, "uri")} })).Draw(t, "list"),
			Free: map[string]any{rapid.String().Draw(t, "key"): rapid.String().Draw(t, "value")},
			Raw:  json.RawMessage(`null`),
		}
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var ours, theirs outer
		if err := Decode(b, &ours, limits); err != nil {
			t.Fatalf("Decode(%s): %v", b, err)
		}
		if err := json.Unmarshal(b, &theirs); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Fatal(diff)
		}
	})
}

// A key given twice is found wherever encoding/json's own tokens show it, and nowhere else.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{}`, `[`, `{"list":[{"uri":null}]}`, `{"name":{"a":[1,2,{"b":null}]}}`, `nul`, `{1:2}`, `{"a":}`, `{"a" 1}`,
		`{"a":1,"\u0061":2}`, `{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}`, `{"\ud800":1,"\ud801":2}`, ` [1e9 , true,"\""] `, strings.Repeat("1", 400),
		`{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1,"l":1,"m":1,"n":1,"o":1,"p":1,"q":1,"c":1}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if Decode(b, new(outer), limits) == nil && !json.Valid(b) {
			t.Errorf("accepted invalid JSON %q", b)
		}
		if !json.Valid(b) || !utf8.Valid(b) {
			return
		}
		var twice *KeyError
		err := Decode(b, new(any), Limits{Depth: 1000, Values: 1 << 20})
		if errors.As(err, &twice) != hasTwice(t, b) || err != nil && twice == nil {
			t.Errorf("%q: got %v", b, err)
		}
	})
}

// hasTwice reports whether an object in valid JSON has a key twice, by encoding/json's tokens.
func hasTwice(t *testing.T, b []byte) bool {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var walk func() bool
	walk = func() bool {
		token, err := dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		found, seen := false, map[any]bool{}
		for token == json.Delim('{') && dec.More() {
			key, err := dec.Token()
			if err != nil {
				t.Fatal(err)
			}
			found = found || seen[key]
			seen[key] = true
			found = walk() || found
		}
		for token == json.Delim('[') && dec.More() {
			found = walk() || found
		}
		if token == json.Delim('{') || token == json.Delim('[') {
			if _, err := dec.Token(); err != nil {
				t.Fatal(err)
			}
		}
		return found
	}
	return walk()
}
