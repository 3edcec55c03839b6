package scan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/testdag/testdag/attest"
)

// What a LimitError of this package counts.
const (
	whatReport   = "report bytes"
	whatValue    = "value bytes"
	whatNames    = "object names"
	whatFindings = "findings"
)

// maxName bounds one name in an object: the decoder remembers the names of every object that is open, to refuse what is
// given twice.
const maxName = 4 << 10

// fewNames are allowed in one object however low the limit on findings is: one finding has tens of them.
const fewNames = 1000

// A meter counts what is read of a report.
type meter struct {
	inner io.Reader
	limit int64
	read  int64
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.inner.Read(p)
	if m.read += int64(n); m.read > m.limit {
		return 0, &attest.LimitError{What: whatReport, Limit: m.limit, Got: m.read}
	}
	return n, err
}

// A gauge stands between a decoder and the report. A decoder asks for more only while it lacks the end of a value, and
// keeps what it has of it: that is what was read and not consumed.
type gauge struct {
	inner    io.Reader
	limit    int64
	read     int64
	consumed func() int64
	err      error // why reading stopped, if not at the end
}

func (g *gauge) Read(p []byte) (int, error) {
	if held := g.read - g.consumed(); held > g.limit {
		g.err = &attest.LimitError{What: whatValue, Limit: g.limit, Got: held}
		return 0, g.err
	}
	n, err := g.inner.Read(p)
	g.read += int64(n)
	if err != nil && err != io.EOF {
		g.err = err
	}
	return n, err
}

// A reader walks through JSON from its begin to its end. What nobody asks for is checked and dropped, token by token. Its
// methods read the one value that comes next; all but element take null for a value that is not there.
type reader struct {
	format Format
	limits Limits
	dec    *jsontext.Decoder
	gauge  *gauge
	kept   int64 // bytes of text since the last call of element
}

func newReader(format Format, in io.Reader, limits Limits) *reader {
	g := &gauge{inner: in, limit: limits.ValueBytes}
	r := &reader{format: format, limits: limits, gauge: g, dec: jsontext.NewDecoder(g)}
	g.consumed = r.dec.InputOffset
	return r
}

// whole reads an object that is all of the report.
func (r *reader) whole(member func(name []byte) error) error {
	if err := r.element(member); err != nil {
		return err
	}
	switch _, err := r.dec.ReadToken(); {
	case errors.Is(err, io.EOF) && r.gauge.err == nil:
		return nil
	case err != nil:
		return r.broken(err)
	}
	return &FormatError{Format: r.format, Err: errors.New("something follows it")}
}

// element reads an object that must be there. Texts of one element are counted together.
func (r *reader) element(member func(name []byte) error) error {
	r.kept = 0
	if r.null() {
		return r.refuse("an object", 'n')
	}
	return r.object(member)
}

// object calls member for each member of an object. It has to read the value, and must not keep the name.
func (r *reader) object(member func(name []byte) error) error {
	if there, err := r.open('{', "an object"); !there {
		return err
	}
	for r.dec.PeekKind() == '"' {
		name, err := r.name()
		if err != nil {
			return err
		}
		if err := member(name); err != nil {
			return err
		}
	}
	return r.close()
}

// list calls each for each element of a list. It has to read the element.
func (r *reader) list(each func() error) error {
	if there, err := r.open('[', "a list"); !there {
		return err
	}
	for k := r.dec.PeekKind(); k != ']' && k != 0; k = r.dec.PeekKind() {
		if err := each(); err != nil {
			return err
		}
	}
	return r.close()
}

// open reads the begin of an object or a list and says whether there is one.
func (r *reader) open(want jsontext.Kind, noun string) (bool, error) {
	switch kind := r.dec.PeekKind(); kind {
	case want:
		if _, err := r.dec.ReadToken(); err != nil {
			return false, r.broken(err)
		}
		return true, nil
	case 'n':
		return false, r.skip()
	default:
		return false, r.refuse(noun, kind)
	}
}

// close reads the end of an object or a list.
func (r *reader) close() error {
	if _, err := r.dec.ReadToken(); err != nil {
		return r.broken(err)
	}
	return nil
}

// name reads the name of a member. It is good until the next read.
func (r *reader) name() ([]byte, error) {
	raw, err := r.dec.ReadValue()
	if err != nil {
		return nil, r.broken(err)
	}
	if err := r.bound(raw); err != nil {
		return nil, err
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], nil
	}
	return jsontext.AppendUnquote(nil, raw) // of a name that was read, so it does not fail
}

// bound refuses too long a name, and too many of them in the object that is open.
func (r *reader) bound(name jsontext.Value) error {
	if len(name) > maxName {
		return &attest.LimitError{What: whatValue, Limit: maxName, Got: int64(len(name))}
	}
	most := int64(max(r.limits.Findings, fewNames))
	if _, n := r.dec.StackIndex(r.dec.StackDepth()); n > 2*most {
		return &attest.LimitError{What: whatNames, Limit: most, Got: (n + 1) / 2}
	}
	return nil
}

// skip drops a value.
func (r *reader) skip() error {
	depth := r.dec.StackDepth()
	for {
		if err := r.drop(); err != nil {
			return err
		}
		if r.dec.StackDepth() <= depth {
			return nil
		}
	}
}

// drop drops a token.
func (r *reader) drop() error {
	switch r.dec.PeekKind() {
	case '{', '[', '}', ']':
		return r.close()
	}
	raw, err := r.dec.ReadValue()
	if err != nil {
		return r.broken(err)
	}
	if kind, n := r.dec.StackIndex(r.dec.StackDepth()); kind == '{' && n%2 == 1 {
		return r.bound(raw)
	}
	return nil
}

// null says whether the next value is null.
func (r *reader) null() bool { return r.dec.PeekKind() == 'n' }

// text reads text.
func (r *reader) text(to *string) error {
	switch kind := r.dec.PeekKind(); kind {
	case 'n':
		return r.skip()
	case '"':
		token, err := r.dec.ReadToken()
		if err != nil {
			return r.broken(err)
		}
		*to = token.String()
		return r.keep(len(*to))
	default:
		return r.refuse("text", kind)
	}
}

// keep counts text that outlives the next read.
func (r *reader) keep(n int) error {
	if r.kept += int64(n); r.kept > r.limits.ValueBytes {
		return &attest.LimitError{What: whatValue, Limit: r.limits.ValueBytes, Got: r.kept}
	}
	return nil
}

// texts reads a list of text.
func (r *reader) texts(to *[]string) error {
	return r.list(func() error {
		var s string
		if err := r.text(&s); err != nil {
			return err
		}
		*to = append(*to, s)
		return r.keep(16) // a list of empty texts is not free
	})
}

// title reads text for people, of which only the first line counts.
func (r *reader) title(to *string) error {
	err := r.text(to)
	*to = line(*to)
	return err
}

// line returns the first line of s, or what fits of it.
func line(s string) string {
	const most = 256
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	s = strings.TrimSpace(s)
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strings.Clone(s) // the rest of it may be long
}

// scalar reads text or a number as text: versions of a schema were both.
func (r *reader) scalar(to *string) error {
	if r.dec.PeekKind() != '0' {
		return r.text(to)
	}
	raw, err := r.dec.ReadValue()
	if err != nil {
		return r.broken(err)
	}
	*to = string(raw)
	return r.keep(len(*to))
}

// number reads a number. It is nil if there is none.
func (r *reader) number(to **float64) error {
	if kind := r.dec.PeekKind(); kind != '0' && kind != 'n' {
		return r.refuse("a number", kind)
	}
	var s string
	if err := r.scalar(&s); err != nil || s == "" {
		return err
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return r.fail(err)
	}
	*to = &f
	return nil
}

// integer reads a number that has no fraction.
func (r *reader) integer(to *int) error {
	var f *float64
	if err := r.number(&f); err != nil || f == nil {
		return err
	}
	if *f != float64(int32(*f)) {
		return r.fail(fmt.Errorf("%v, want a whole number", *f))
	}
	*to = int(*f)
	return nil
}

// truth reads true or false.
func (r *reader) truth(to *bool) error {
	switch kind := r.dec.PeekKind(); kind {
	case 't', 'f':
		*to = kind == 't'
		return r.skip()
	case 'n':
		return r.skip()
	default:
		return r.refuse("true or false", kind)
	}
}

// time reads a time. What is no time, or the zero time that Go writes for none, is as if it were not there: it will be
// asked for.
func (r *reader) time(to *time.Time) error {
	var s string
	err := r.text(&s)
	*to = parseTime(s)
	return err
}

func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if y := t.UTC().Year(); err != nil || y < 1 || y > 9999 {
		return time.Time{}
	}
	return t.UTC()
}

// refuse returns the error for a value of the wrong kind.
func (r *reader) refuse(want string, got jsontext.Kind) error {
	if got == 0 {
		_, err := r.dec.ReadToken() // says why nothing comes next
		return r.broken(err)
	}
	// The pointer leads to what was read last. A value of the wrong kind is no reason to go on, so it can be dropped.
	if err := r.skip(); err != nil {
		return err
	}
	return r.fail(fmt.Errorf("%s, want %s", kindNames[got], want))
}

var kindNames = map[jsontext.Kind]string{
	'n': "null", 't': "true", 'f': "false", '"': "text", '0': "a number", '{': "an object", '[': "a list",
}

// fail returns err as a mistake in the value that was read last.
func (r *reader) fail(err error) error {
	return &FormatError{Format: r.format, Where: where(r.dec.StackPointer()), Err: err}
}

// broken returns what stopped the decoder.
func (r *reader) broken(err error) error {
	if r.gauge.err != nil {
		return r.gauge.err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return r.fail(errors.New("it ends too early"))
	}
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) && syntax.Err != nil {
		return &FormatError{Format: r.format, Where: where(syntax.JSONPointer), Err: fmt.Errorf("byte %d: %w", syntax.ByteOffset, syntax.Err)}
	}
	return r.fail(err)
}

// where turns a JSON pointer into a path as programmers write it: Results[0].Vulnerabilities[2]. It does not get long.
func where(p jsontext.Pointer) string {
	const most = 200
	var b strings.Builder
	for token := range p.Tokens() {
		switch _, err := strconv.ParseUint(token, 10, 64); {
		case b.Len() > most:
			return b.String() + "…"
		case err == nil:
			fmt.Fprintf(&b, "[%s]", token)
		case strings.ContainsAny(token, " .[]/") || token == "" || len(token) > most:
			fmt.Fprintf(&b, "[%.40q]", token)
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(token)
		}
	}
	return b.String()
}
