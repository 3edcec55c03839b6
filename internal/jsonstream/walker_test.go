package jsonstream_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/internal/jsonstream"
)

// wide are limits that the documents of these tests keep.
var wide = jsonstream.Limits{ValueBytes: 1 << 20, NameBytes: 1 << 20, Names: 1 << 20, Depth: 1000}

// value reads a value and keeps all of it, as encoding/json has it.
func value(w *jsonstream.Walker) (any, error) {
	switch w.Peek() {
	case jsonstream.Object:
		m := map[string]any{}
		return m, w.Object(func(name []byte) error {
			key := string(name)
			v, err := value(w)
			if string(name) != key {
				return fmt.Errorf("%q became %q while its value was read", key, name)
			}
			m[key] = v
			return err
		})
	case jsonstream.List:
		l := []any{}
		err := w.List(func() error {
			v, err := value(w)
			l = append(l, v)
			return err
		})
		return l, err
	case jsonstream.Number:
		n, err := w.Number()
		return json.Number(n), err
	case jsonstream.True, jsonstream.False:
		return w.Bool()
	case jsonstream.Null:
		return nil, w.Skip()
	}
	text, err := w.Text()
	return string(text), err
}

// whole reads a document and keeps all of it.
func whole(in io.Reader, limits jsonstream.Limits) (any, error) {
	w := jsonstream.New(in, limits)
	v, err := value(w)
	if err == nil {
		err = w.End()
	}
	return v, err
}

// skipped passes over a document.
func skipped(in io.Reader, limits jsonstream.Limits) error {
	w := jsonstream.New(in, limits)
	if err := w.Skip(); err != nil {
		return err
	}
	return w.End()
}

// standard is what encoding/json reads.
func standard(t interface{ Fatal(...any) }, text []byte) any {
	var want any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&want); err != nil {
		t.Fatal(err)
	}
	return want
}

// pieces hands on a few bytes at a time.
type pieces struct {
	text []byte
	next func() int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.text) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.next())], p.text)
	p.text = p.text[n:]
	return n, nil
}

var samples = []string{
	`{}`, `[]`, `""`, `0`, `-0.5e+10`, `true`, `false`, `null`, ` { "a" : [ 1 , 2 ] , "b" : { } } `,
	`{"a\u0062\n":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud800x\udc00"}`, `["größer","高","😀"]`, `[[[[1]]],{"a":{"b":{"c":[]}}}]`,
	`"` + strings.Repeat(`\\`, 1000) + `"`, `"` + strings.Repeat(`\"`, 999) + `\\"`, `[1E5,1e-5,10,-1,0.0]`,
}

// What is walked through is what encoding/json reads, however the input comes.
func TestSamples(t *testing.T) {
	for _, text := range samples {
		want := standard(t, []byte(text))
		for name, in := range map[string]io.Reader{
			"at once": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text)),
			"with the end": iotest.DataErrReader(strings.NewReader(text)), "in halves": iotest.HalfReader(strings.NewReader(text)),
		} {
			got, err := whole(in, wide)
			if err != nil {
				t.Errorf("%.60s %s: %v", text, name, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%.60s %s: %s", text, name, diff)
			}
		}
		if err := skipped(iotest.OneByteReader(strings.NewReader(text)), wide); err != nil {
			t.Errorf("%.60s skipped: %v", text, err)
		}
		for i := range len(text) { // cut
			head := text[:i]
			if json.Valid([]byte(head)) {
				continue // as 1 of 10
			}
			if _, err := whole(strings.NewReader(head), wide); err == nil {
				t.Errorf("%q is read", head)
			}
			if err := skipped(strings.NewReader(head), wide); err == nil {
				t.Errorf("%q is passed over", head)
			}
		}
	}
}

// generated is a document with everything that JSON can have.
func generated(r *rand.Rand, depth int) string {
	space := func() string { return []string{"", "", " ", "\n\t"}[r.IntN(4)] }
	text := func() string {
		var b strings.Builder
		for range r.IntN(12) {
			b.WriteString([]string{"a", "é", "高", "😀", `\n`, `\u0041`, `\ud83d\ude00`, `\ud83d`, `\\`, `\"`, `\/`, "0"}[r.IntN(12)])
		}
		if r.IntN(40) == 0 {
			b.WriteString(strings.Repeat("long ", 60_000))
		}
		return b.String()
	}
	kind := r.IntN(8)
	if depth == 0 {
		kind = 2 + r.IntN(6)
	}
	var b strings.Builder
	switch kind {
	case 0, 1:
		n := r.IntN(5)
		if r.IntN(10) == 0 {
			n = 100
		}
		b.WriteString([]string{"{", "["}[kind] + space())
		for i := range n {
			if i > 0 {
				b.WriteString("," + space())
			}
			if kind == 0 {
				fmt.Fprintf(&b, `"%d.%s"%s:%s`, i, text(), space(), space())
			}
			b.WriteString(generated(r, depth-1) + space())
		}
		b.WriteString([]string{"}", "]"}[kind])
	case 2:
		b.WriteString([]string{"true", "false", "null"}[r.IntN(3)])
	case 3, 4:
		b.WriteString([]string{"0", "-1", "12.5", "1e9", "-0.1E-7", "123456789012345678901234567890"}[r.IntN(6)])
	default:
		b.WriteString(`"` + text() + `"`)
	}
	return b.String()
}

func TestGenerated(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		text := generated(r, 4)
		most := []int{1, 7, 4096, 1 << 20}[r.IntN(4)]
		if len(text) > 100_000 {
			most = max(most, 4096)
		}
		got, err := whole(&pieces{[]byte(text), func() int { return 1 + r.IntN(most) }}, wide)
		if err != nil {
			t.Fatalf("%.200s: %v", text, err)
		}
		if diff := cmp.Diff(standard(t, []byte(text)), got); diff != "" {
			t.Errorf("%.200s: %s", text, diff)
		}
		if err := skipped(&pieces{[]byte(text), func() int { return 1 + r.IntN(most) }}, wide); err != nil {
			t.Errorf("skipped: %.200s: %v", text, err)
		}
	})
}

// What is no JSON is refused, with its place. What is passed over is checked too, but for the inside of text.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		text, want string
		lenient    bool // if it is passed over
	}{
		{``, "it ends too early at byte 0", false},
		{`x`, `'x', want a value at byte 0`, false},
		{`{"a":1`, "a: it ends too early at byte 6", false},
		{`{"a":1]`, `a: ']', want ',' or '}' at byte 6`, false},
		{`[1}`, `[0]: '}', want ',' or ']' at byte 2`, false},
		{`[1 2]`, `[0]: '2', want ',' or ']' at byte 3`, false},
		{`[1,]`, `[1]: ']', want a value at byte 3`, false},
		{`[,1]`, `[0]: ',', want a value at byte 1`, false},
		{`{"a":1,}`, `a: '}', want a name at byte 7`, false},
		{`{a:1}`, `'a', want a name at byte 1`, false},
		{`{"a" 1}`, `a: '1', want ':' at byte 5`, false},
		{`{"a":}`, `a: '}', want a value at byte 5`, false},
		{`1 1`, "something follows it at byte 2", false},
		{`{} x`, "something follows it at byte 3", false},
		{`01`, `"01", want a number at byte 0`, false},
		{`-`, `"-", want a number at byte 0`, false},
		{`1.`, `"1.", want a number at byte 0`, false},
		{`1e`, `"1e", want a number at byte 0`, false},
		{`1e+-1`, `"1e+-1", want a number`, false},
		{`1.5.5`, `"1.5.5", want a number`, false},
		{`trux`, `"trux", want "true" at byte 0`, false},
		{`nul`, "it ends too early at byte 3", false},
		{`falsy`, `"falsy", want "false"`, false},
		{"\"a\nb\"", `"\nb" in text at byte 2`, true},
		{`"\x"`, `"\\x" in text at byte 1`, true},
		{`"\u12G4"`, `"\\u12G4" in text at byte 1`, true},
		{`"\u12"`, `"\\u12" in text at byte 1`, true},
		{"\"\xff\"", `"\xff" in text at byte 1`, true},
		{"{\"\xff\":1}", `"\xff" in text at byte 2`, false},
		{`{"a":1,"b":2,"a":3}`, "a: a name given twice at byte 16", false},
		{`{"a":1,"\u0061":3}`, "a: a name given twice at byte 15", false},
		{`[{"x":{"a":1,"a":1}}]`, "[0].x.a: a name given twice at byte 16", false},
		{`"` + strings.Repeat(`\\`, 500) + `\"`, "it ends too early", false},
	} {
		_, err := whole(strings.NewReader(tt.text), wide)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%q: got %v, want %s", tt.text, err, tt.want)
		}
		var syntax *jsonstream.SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%q: got a %T", tt.text, err)
		}
		if err := skipped(strings.NewReader(tt.text), wide); tt.lenient != (err == nil) {
			t.Errorf("%q passed over: %v", tt.text, err)
		}
	}
}

// Names of large objects are told apart too.
func TestManyNames(t *testing.T) {
	object := func(n int, last string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"n%d":%d,`, i, i)
		}
		return "{" + b.String() + `"` + last + `":0}`
	}
	for _, n := range []int{0, 1, 31, 32, 33, 34, 64, 100, 5000} {
		if _, err := whole(strings.NewReader(object(n, "other")), wide); err != nil {
			t.Errorf("%d: %v", n, err)
		}
		for _, i := range []int{0, n / 2, n - 1} {
			if n == 0 {
				continue
			}
			if err := skipped(strings.NewReader(object(n, fmt.Sprintf("n%d", i))), wide); err == nil || !strings.Contains(err.Error(), "given twice") {
				t.Errorf("%d, %d again: %v", n, i, err)
			}
		}
	}
	// Those of an object that is over do not count in the next.
	if _, err := whole(strings.NewReader(`[{"a":{"b":1}},{"a":{"b":1}},{"b":{"a":{"b":{"a":1}}}}]`), wide); err != nil {
		t.Error(err)
	}
}

func TestLimits(t *testing.T) {
	limits := jsonstream.Limits{ValueBytes: 10, NameBytes: 5, Names: 3, Depth: 4}
	for text, want := range map[string]string{
		`"0123456789"`: "", `"01234567890"`: "11 value bytes, over the limit of 10",
		`0123456789`: `"0123456789", want a number`, `1234567890`: "", `12345678901`: "11 value bytes, over the limit of 10",
		`{"01234":1}`: "", `{"012345":1}`: "6 name bytes, over the limit of 5",
		`{"a":1,"b":1,"c":1}`: "", `{"a":1,"b":1,"c":1,"d":1}`: "d: 4 object names, over the limit of 3",
		`[[[[]]]]`: "", `[[[[[]]]]]`: "[0][0][0][0]: 5 levels, over the limit of 4",
		`[[{"a":[]}]]`: "", `[[{"a":[{}]}]]`: "[0][0].a[0]: 5 levels, over the limit of 4",
		`[{"a":1,"b":1,"c":1},{"a":1,"b":1,"c":1}]`: "",
	} {
		_, err := whole(strings.NewReader(text), limits)
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
	// Text that is passed over may be of any length.
	if err := skipped(strings.NewReader(`["`+strings.Repeat("x", 1000)+`"]`), limits); err != nil {
		t.Error(err)
	}
	if err := skipped(strings.NewReader(`[[[[[]]]]]`), limits); err == nil {
		t.Error("too deep, and passed over")
	}
}

// endless is text without end, in a list.
type endless struct{ begun bool }

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = "xy\\\\\\\""[i%6]
	}
	if !e.begun {
		e.begun = true
		copy(b, `["`)
	}
	return len(b), nil
}

// Text that is passed over is not held, and text that is asked for only up to the limit.
func TestLongTextIsNotHeld(t *testing.T) {
	const mib = 1 << 20
	allocated := testing.AllocsPerRun(1, func() {
		if err := skipped(io.LimitReader(&endless{}, 256*mib), wide); err == nil {
			t.Error("it does not end")
		}
	})
	if allocated > 100 {
		t.Errorf("%v allocations", allocated)
	}
	w := jsonstream.New(&endless{}, wide)
	err := w.List(func() error {
		_, err := w.Text()
		return err
	})
	var limit *jsonstream.LimitError
	if !errors.As(err, &limit) || limit.What != jsonstream.ValueBytes || limit.Limit != 1<<20 {
		t.Errorf("got %v", err)
	}
}

// A text is read as far as it is wanted.
func TestBegin(t *testing.T) {
	for _, tt := range []struct {
		text string
		most int
		want string
	}{
		{`"short"`, 10, "short"}, {`"short"`, 5, "short"}, {`"longer"`, 4, "long"}, {`""`, 4, ""},
		{`"a\u00e9b"`, 2, "aé"}, {`"a😀b"`, 2, "a😀"}, {`"\ud83d\ude00\ud83d\ude00"`, 1, "😀"}, {`"\\\\\\\\"`, 2, `\\`},
		{`"\u0041\u0042\u0043"`, 2, "AB"}, {`"` + strings.Repeat("x", 300_000) + `"`, 3, "xxx"},
	} {
		for name, in := range map[string]io.Reader{"at once": strings.NewReader("[" + tt.text + ",1]"), "byte by byte": iotest.OneByteReader(strings.NewReader("[" + tt.text + ",1]"))} {
			w := jsonstream.New(in, wide)
			first := true
			err := w.List(func() error {
				if !first {
					return nil
				}
				first = false
				got, err := w.Begin(tt.most)
				if string(got) != tt.want {
					t.Errorf("%.40s %s: got %q, want %q", tt.text, name, got, tt.want)
				}
				return err
			})
			if err != nil {
				t.Errorf("%.40s %s: %v", tt.text, name, err)
			}
		}
	}
	for _, text := range []string{`"abc`, `"a\x"`, "\"a\nb\"", `1`, ``} {
		if got, err := jsonstream.New(strings.NewReader(text), wide).Begin(100); err == nil {
			t.Errorf("%q: got %q", text, got)
		}
	}
}

// Asking for another kind says what is there; what nobody reads is passed over.
func TestKinds(t *testing.T) {
	reads := map[string]func(w *jsonstream.Walker) error{
		"text":          func(w *jsonstream.Walker) error { _, err := w.Text(); return err },
		"a number":      func(w *jsonstream.Walker) error { _, err := w.Number(); return err },
		"true or false": func(w *jsonstream.Walker) error { _, err := w.Bool(); return err },
		"a list":        func(w *jsonstream.Walker) error { return w.List(func() error { return nil }) },
		"an object":     func(w *jsonstream.Walker) error { return w.Object(func([]byte) error { return nil }) },
	}
	for text, kind := range map[string]string{`"a"`: "text", `1`: "a number", `true`: "true or false", `[1,[2]]`: "a list", `{"a":{"b":1}}`: "an object", `null`: "null"} {
		for want, read := range reads {
			w := jsonstream.New(strings.NewReader(text), wide)
			err := read(w)
			var wrong *jsonstream.KindError
			if (kind == want) != (err == nil) || err != nil && (!errors.As(err, &wrong) || wrong.Want != want) {
				t.Errorf("%s as %s: %v", text, want, err)
			}
			if kind == want {
				if again := read(w); again == nil {
					t.Errorf("%s can be read twice as %s", text, want)
				}
				if err := w.Skip(); err == nil || w.Peek() != jsonstream.None {
					t.Errorf("%s is read, and there is more", text)
				}
			}
		}
	}
	enough := errors.New("enough")
	w := jsonstream.New(strings.NewReader(`[1]`), wide)
	if err := w.List(func() error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	w = jsonstream.New(strings.NewReader(`{"a":1}`), wide)
	if err := w.Object(func([]byte) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
}

// A reader that fails is told, and one that does nothing does not hold the walk.
func TestReaders(t *testing.T) {
	broken := errors.New("broken")
	for _, head := range []string{``, `[`, `["a`, `["a"`, `[1`, `[tr`, `{"a"`, `{"a":1`, `[1]`} {
		in := io.MultiReader(strings.NewReader(head), iotest.ErrReader(broken))
		if _, err := whole(in, wide); !errors.Is(err, broken) {
			t.Errorf("%q: %v", head, err)
		}
		in = io.MultiReader(strings.NewReader(head), iotest.ErrReader(broken))
		if err := skipped(in, wide); !errors.Is(err, broken) {
			t.Errorf("%q passed over: %v", head, err)
		}
	}
	if _, err := whole(&pieces{[]byte("[1]"), func() int { return 0 }}, wide); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}

func TestPath(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":{"b":[1,x]}}`: "a.b[1]: ",
		`{"a b":x}`:         `["a b"]: `,
		`{"1":x}`:           `[1]: `,
		`{"":x}`:            `[""]: `,
		`{"a":{"` + strings.Repeat("n", 100) + `":x}}`: `a["` + strings.Repeat("n", 40) + `"]: `,
		`{"` + "\u202e" + `":x}`:                       `["\u202e"]: `,
	} {
		if _, err := whole(strings.NewReader(text), wide); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
	deep := strings.Repeat(`{"name":`, 900) + "x"
	if _, err := whole(strings.NewReader(deep), wide); err == nil || len(err.Error()) > 400 {
		t.Errorf("got %v", err)
	}
}

// Whatever comes: no panic, the same answer however it comes, and what encoding/json takes is taken alike.
func FuzzWalk(f *testing.F) {
	for _, text := range samples {
		f.Add([]byte(text), uint64(1))
	}
	for _, text := range []string{`{"a":1,"a":2}`, `[1,]`, "\"\xff\"", `{"a":{"b":[1,x]}}`, `"\ud800"`, `1e`, `{"` + strings.Repeat(`\\`, 50)} {
		f.Add([]byte(text), uint64(2))
	}
	limits := jsonstream.Limits{ValueBytes: 1 << 16, NameBytes: 1 << 16, Names: 1000, Depth: 100}
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 1))
		got, err := whole(bytes.NewReader(text), limits)
		again, err2 := whole(&pieces{text, func() int { return 1 + r.IntN(5) }}, limits)
		if fmt.Sprint(err) != fmt.Sprint(err2) || err == nil && !cmp.Equal(got, again) {
			t.Fatalf("at once %v, in pieces %v", err, err2)
		}
		if err == nil {
			if !json.Valid(text) {
				t.Fatal("it is no JSON")
			}
			if diff := cmp.Diff(standard(t, text), got); diff != "" {
				t.Fatal(diff)
			}
			if err := skipped(bytes.NewReader(text), limits); err != nil {
				t.Fatalf("passed over: %v", err)
			}
			return
		}
		var limit *jsonstream.LimitError
		if json.Valid(text) && utf8.Valid(text) && !errors.As(err, &limit) && !strings.Contains(err.Error(), "given twice") {
			t.Fatalf("it is JSON: %v", err)
		}
	})
}

// Pass ends where Skip ends, however the document is cut into reads, and does not look at what is inside.
func TestPass(t *testing.T) {
	for _, doc := range []string{
		`0`, `-1.5e3`, `true`, `null`, `""`, `"a\"b\\"`, `[]`, `{}`, `[1,[2,{"a":[3]}],"]"]`, `{"a":"}","b":{"c":[]}}`,
		`{"a":1,"a":2}`, `[01,+1,nothing]`, "\"\xff\"", strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
	} {
		for _, in := range []io.Reader{strings.NewReader(`[` + doc + ` , "next"]`), iotest.OneByteReader(strings.NewReader(`[` + doc + ` , "next"]`))} {
			w := jsonstream.New(in, jsonstream.Limits{ValueBytes: 10, NameBytes: 10, Names: 1, Depth: 1})
			i, next := 0, ""
			err := w.List(func() error {
				if i++; i == 1 {
					return w.Pass()
				}
				text, err := w.Text()
				next = string(text)
				return err
			})
			if err = errors.Join(err, w.End()); err != nil || next != "next" {
				t.Errorf("%.40s: %q, %v", doc, next, err)
			}
		}
	}
	for _, doc := range []string{``, ` `, `]`, `}`, `,`, `:`, `[`, `{"a":`, `"`, `[[]`} {
		if err := jsonstream.New(strings.NewReader(doc), wide).Pass(); err == nil {
			t.Errorf("%s is passed over", doc)
		}
	}
}

// Stream reads text as Text does, whatever its length and however it is read.
func TestStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.OneOf(rapid.Rune(), rapid.SampledFrom([]rune{'"', '\\', '\n', 'é', '😀'}))).Draw(t, "text")
		text = strings.Repeat(strings.ToValidUTF8(text, ""), rapid.SampledFrom([]int{1, 1, 50000}).Draw(t, "times")%(1+400000/max(1, len(text))))
		raw, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "ascii") {
			raw = []byte(strings.ReplaceAll(string(raw), "😀", `\ud83d\ude00`))
		}
		read := rapid.IntRange(0, 1+len(text)).Draw(t, "read")
		in := io.Reader(strings.NewReader(`[` + string(raw) + `,1]`))
		if len(raw) < 1000 && rapid.Bool().Draw(t, "slowly") {
			in = iotest.OneByteReader(in)
		}
		w := jsonstream.New(in, jsonstream.Limits{ValueBytes: 10, NameBytes: 10, Names: 10, Depth: 10})
		got, first := "", true
		err = w.List(func() error {
			if !first {
				_, err := w.Number()
				return err
			}
			first = false
			return w.Stream(func(r io.Reader) error {
				b, err := io.ReadAll(io.LimitReader(r, int64(read)))
				got = string(b)
				return err
			})
		})
		if err = errors.Join(err, w.End()); err != nil || got != text[:min(read, len(text))] {
			t.Fatalf("got %.40q of %.40q, %v", got, text, err)
		}
	})
	for _, doc := range []string{`"`, `"a`, `"\`, `"\u12`, `"\q"`, `1`} {
		err := jsonstream.New(strings.NewReader(doc), wide).Stream(func(r io.Reader) error {
			_, err := io.Copy(io.Discard, r)
			return err
		})
		if err == nil {
			t.Errorf("%s is read", doc)
		}
	}
}
