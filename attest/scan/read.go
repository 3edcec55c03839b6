package scan

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/testdag/testdag/attest/intoto"
)

// What a LimitError of this package counts.
const (
	whatReport   = "report bytes"
	whatValue    = "value bytes"
	whatNames    = "object names"
	whatFindings = "findings"
)

// maxName bounds a name in an object that is not decoded as a whole. The tokenizer keeps all names of an open object.
const maxName = 4 << 10

// fewNames are allowed in one object however low the limit on findings is.
const fewNames = 1000

// rough is how many times Limits.ValueBytes one piece may have as the report writes it, up to mostRough. Most of it is not
// kept.
const (
	rough     = 16
	mostRough = 64 << 20
)

// A meter counts what is read of a report.
type meter struct {
	inner io.Reader
	limit int64
	read  int64
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.inner.Read(p)
	if m.read += int64(n); m.read > m.limit {
		return 0, &intoto.LimitError{What: whatReport, Limit: m.limit, Got: m.read}
	}
	return n, err
}

// A pieces reader is what the tokenizer reads from. The tokenizer holds a token as a whole, and an element that is decoded
// is held as a whole too, so reading fails where one of them does not end.
type pieces struct {
	in    io.Reader
	dec   *jsontext.Decoder
	limit int64
	read  int64
	whole bool  // an element is being decoded
	begin int64 // where it begins
}

func (p *pieces) Read(b []byte) (int, error) {
	begin := p.dec.InputOffset()
	if p.whole {
		begin = p.begin
	}
	left := p.limit - (p.read - begin)
	if left < 0 {
		return 0, &intoto.LimitError{What: whatValue, Limit: p.limit, Got: p.read - begin}
	}
	n, err := p.in.Read(b[:min(int64(len(b)), left+1)])
	p.read += int64(n)
	return n, err
}

// A reader reads a report from its begin to its end: what is large value by value, findings as a struct each.
type reader struct {
	format Format
	limits Limits
	in     *pieces
	dec    *jsontext.Decoder
}

func newReader(format Format, in io.Reader, limits Limits) *reader {
	most := min(limits.ValueBytes, math.MaxInt64/2) // reading adds to it
	p := &pieces{in: in, limit: max(most, min(most, mostRough/rough)*rough)}
	p.dec = jsontext.NewDecoder(p)
	return &reader{format: format, limits: limits, in: p, dec: p.dec}
}

// fields are the members of an object that are read, by name, and how. One that is null is as if it were not there.
type fields map[string]func() error

// end says whether the report ends here.
func (r *reader) end() error {
	switch _, err := r.dec.ReadToken(); err {
	case io.EOF:
		return nil
	case nil:
		return &FormatError{r.format, "", errors.New("something follows it")}
	default:
		return r.mistake(err)
	}
}

// object reads an object. What is not known is passed over.
func (r *reader) object(known fields) error {
	return r.entries(func(name string) error {
		if read := known[name]; read != nil && r.dec.PeekKind() != 'n' {
			return read()
		}
		return r.skip()
	})
}

// entries calls each, which reads the value, with each name of an object.
func (r *reader) entries(each func(name string) error) error {
	return r.walk('{', '}', func() error {
		name, err := r.name()
		if err != nil {
			return err
		}
		return each(name.String())
	})
}

// list calls each, which reads it, for each element of a list.
func (r *reader) list(each func() error) error { return r.walk('[', ']', each) }

func (r *reader) walk(begin, end jsontext.Kind, each func() error) error {
	token, err := r.dec.ReadToken()
	if err != nil {
		return r.mistake(err)
	}
	if got := token.Kind(); got != begin {
		return r.fail(fmt.Errorf("%s, want %s", kinds[got], kinds[begin]))
	}
	for r.dec.PeekKind() != end {
		if err := each(); err != nil {
			return err
		}
	}
	_, err = r.dec.ReadToken()
	return r.mistake(err)
}

// skip passes over a value.
func (r *reader) skip() error {
	for depth := r.dec.StackDepth(); ; {
		_, err := r.name()
		if err != nil || r.dec.StackDepth() == depth {
			return err
		}
	}
}

// name reads a token and, if it is a name, keeps the limits on names.
func (r *reader) name() (jsontext.Token, error) {
	begin := r.dec.InputOffset()
	token, err := r.dec.ReadToken()
	if err != nil {
		return token, r.mistake(err)
	}
	in, n := r.dec.StackIndex(r.dec.StackDepth())
	if in != '{' || n%2 == 0 {
		return token, nil
	}
	if got := r.dec.InputOffset() - begin; got > maxName && len(token.String()) > maxName {
		return token, &intoto.LimitError{What: whatValue, Limit: maxName, Got: got}
	}
	if most := int64(max(r.limits.Findings, fewNames)); n/2 >= most {
		return token, &intoto.LimitError{What: whatNames, Limit: most, Got: n/2 + 1}
	}
	return token, nil
}

// element decodes a value. An object must be there.
func (r *reader) element(to any) error {
	if r.dec.PeekKind() == 'n' && reflect.TypeOf(to).Elem().Kind() == reflect.Struct {
		return r.object(nil)
	}
	r.in.whole, r.in.begin = true, r.dec.InputOffset()
	err := json.UnmarshalDecode(r.dec, to)
	r.in.whole = false
	return r.mistake(err)
}

// into returns a function that decodes a member of an object.
func (r *reader) into(to any) func() error { return func() error { return r.element(to) } }

// each returns a function that reads a list and calls visit with each element, which is good until visit returns.
func each[T any](r *reader, visit func(*T) error) func() error {
	read := visited(r, visit)
	return func() error { return r.list(read) }
}

// eachNamed returns a function that does the same with each entry of an object that is a map.
func eachNamed[T any](r *reader, visit func(name string, one *T) error) func() error {
	var name string
	read := visited(r, func(one *T) error { return visit(name, one) })
	return func() error {
		return r.entries(func(its string) error {
			name = its
			return read()
		})
	}
}

func visited[T any](r *reader, visit func(*T) error) func() error {
	var one T
	return func() error {
		one = *new(T)
		if err := r.element(&one); err != nil {
			return err
		}
		return visit(&one)
	}
}

// room says whether so many findings, or things that findings are made of, are allowed.
func (r *reader) room(n int) error {
	if n > r.limits.Findings {
		return &intoto.LimitError{What: whatFindings, Limit: int64(r.limits.Findings), Got: int64(n)}
	}
	return nil
}

// text returns text, or a number as text: versions of a schema were both. What is neither says nothing.
func text(v jsontext.Value) string {
	switch v.Kind() {
	case '"':
		s, _ := jsontext.AppendUnquote(nil, v) // the tokenizer has read it
		return string(s)
	case '0':
		return string(v)
	}
	return ""
}

// number returns a number, or what text says as one, if it is any.
func number(v jsontext.Value) *float64 {
	f, err := strconv.ParseFloat(text(v), 64)
	if err != nil {
		return nil
	}
	return &f
}

// A maybe is an object that is of another kind in some reports, and then says nothing.
type maybe[T any] struct{ is T }

// UnmarshalJSONFrom reads or passes over the value.
func (m *maybe[T]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '{' {
		return dec.SkipValue()
	}
	return json.UnmarshalDecode(dec, &m.is)
}

// fail returns err as a mistake in the value that was read last.
func (r *reader) fail(err error) error {
	return &FormatError{Format: r.format, Where: path(r.dec.StackPointer()), Err: err}
}

// mistake returns an error of the tokenizer as one of this package. That of the report's own reader stays what it is.
func (r *reader) mistake(err error) error {
	var syntax *jsontext.SyntacticError
	var kind *json.SemanticError
	switch {
	case err == nil:
		return nil
	case err == io.EOF:
		err = &jsontext.SyntacticError{ByteOffset: r.dec.InputOffset(), Err: io.ErrUnexpectedEOF}
		return r.mistake(err)
	case errors.As(err, &syntax):
		why := syntax.Err
		if errors.Is(why, io.ErrUnexpectedEOF) {
			why = errors.New("it ends too early")
		}
		return &FormatError{r.format, path(syntax.JSONPointer), fmt.Errorf("%w at byte %d", why, syntax.ByteOffset)}
	case errors.As(err, &kind):
		return &FormatError{r.format, path(kind.JSONPointer), wanted(kind)}
	case strings.HasPrefix(err.Error(), "jsontext: ") && errors.Unwrap(err) != nil:
		return errors.Unwrap(err)
	}
	return err
}

// kinds and types are how errors name what is in a report, and what is wanted there.
var (
	kinds = map[jsontext.Kind]string{
		'{': "an object", '[': "a list", '"': "text", '0': "a number", 't': "true", 'f': "false", 'n': "null",
	}
	types = map[reflect.Kind]string{
		reflect.Struct: "an object", reflect.Map: "an object", reflect.Slice: "a list", reflect.String: "text",
		reflect.Float64: "a number", reflect.Int: "a whole number", reflect.Bool: "true or false",
	}
)

// wanted says what is wrong with a value.
func wanted(e *json.SemanticError) error {
	want, known := types[e.GoType.Kind()]
	switch {
	case errors.Is(e.Err, strconv.ErrRange):
		return fmt.Errorf("%.40s is too large a number", e.JSONValue)
	case e.JSONKind == '0' && errors.Is(e.Err, strconv.ErrSyntax):
		return fmt.Errorf("%.40s, want a whole number", e.JSONValue)
	case e.Err != nil || !known:
		return e.Err
	}
	return fmt.Errorf("%s, want %s", cmp.Or(kinds[e.JSONKind], "another value"), want)
}

// path returns where a pointer leads: Results[0].Vulnerabilities[2] is the third element of a list in the first of another.
// Names that do not look like one are quoted. It does not get long.
func path(pointer jsontext.Pointer) string {
	const most, mostName = 200, 80
	var b strings.Builder
	for name := range pointer.Tokens() {
		_, index := strconv.ParseUint(name, 10, 64)
		switch {
		case b.Len() > most:
			return b.String() + "…"
		case index == nil:
			b.WriteString("[" + name + "]")
		case name == "" || len(name) > mostName || strings.ContainsFunc(name, strange):
			fmt.Fprintf(&b, "[%.40q]", name)
		case b.Len() == 0:
			b.WriteString(name)
		default:
			b.WriteString("." + name)
		}
	}
	return b.String()
}

func strange(r rune) bool {
	return r <= ' ' || strings.ContainsRune(".[]/\"", r) || !strconv.IsPrint(r)
}
