package scan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/internal/jsonstream"
)

// What a LimitError of this package counts.
const (
	whatReport   = "report bytes"
	whatValue    = "value bytes"
	whatNames    = "object names"
	whatFindings = "findings"
)

// maxName bounds one name in an object. Nobody uses long ones, and all are read as a whole, wherever they are.
const maxName = 4 << 10

// maxDepth bounds objects and lists within each other.
const maxDepth = 1000

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

// A reader walks through JSON from its begin to its end. What nobody asks for is passed over. Its methods read the one value
// that comes next; all but element take null for a value that is not there.
type reader struct {
	format Format
	limits Limits
	walk   *jsonstream.Walker
	recent *recent
	made   []byte // text that is put together
	kept   int64  // bytes of text since the last call of element
}

func newReader(format Format, in io.Reader, limits Limits) *reader {
	return &reader{format: format, limits: limits, recent: newRecent(), walk: jsonstream.New(in, jsonstream.Limits{
		ValueBytes: int(min(limits.ValueBytes, math.MaxInt)),
		NameBytes:  maxName,
		Names:      max(limits.Findings, fewNames),
		Depth:      maxDepth,
	})}
}

// whole reads an object that is all of the report.
func (r *reader) whole(member func(name []byte) error) error {
	if err := r.element(member); err != nil {
		return err
	}
	return r.mistake(r.walk.End())
}

// element reads an object that must be there. Texts of one element are counted together.
func (r *reader) element(member func(name []byte) error) error {
	r.kept = 0
	if r.null() {
		return r.fail(errors.New("null, want an object"))
	}
	return r.object(member)
}

// object calls member for each member of an object. The name is good until member returns.
func (r *reader) object(member func(name []byte) error) error {
	if r.null() {
		return r.skip()
	}
	return r.mistake(r.walk.Object(member))
}

// list calls each for each element of a list.
func (r *reader) list(each func() error) error {
	if r.null() {
		return r.skip()
	}
	return r.mistake(r.walk.List(each))
}

// skip passes over a value.
func (r *reader) skip() error { return r.mistake(r.walk.Skip()) }

// null says whether the next value is null.
func (r *reader) null() bool { return r.walk.Peek() == jsonstream.Null }

// text reads text.
func (r *reader) text(to *string) error {
	if r.null() {
		return r.skip()
	}
	text, err := r.walk.Text()
	if err != nil {
		return r.mistake(err)
	}
	*to = r.recent.text(text)
	return r.keep(len(text))
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
	if r.null() {
		return r.skip()
	}
	text, err := r.walk.Begin(400) // more than r.line keeps, even where white space is first
	if err != nil {
		return r.mistake(err)
	}
	*to = r.line(text)
	return r.keep(len(*to))
}

// line returns the first line of s, or what fits of it.
func (r *reader) line(s []byte) string {
	const most = 256
	s, _, _ = bytes.Cut(bytes.TrimSpace(s), []byte("\n"))
	s = bytes.TrimSpace(s)
	if len(s) > most {
		end := most
		for !utf8.RuneStart(s[end]) {
			end--
		}
		r.made = append(append(r.made[:0], s[:end]...), "…"...)
		s = r.made
	}
	return r.recent.text(s)
}

// scalar reads text or a number as text: versions of a schema were both.
func (r *reader) scalar(to *string) error {
	if r.walk.Peek() != jsonstream.Number {
		return r.text(to)
	}
	raw, err := r.walk.Number()
	if err != nil {
		return r.mistake(err)
	}
	*to = r.recent.text(raw)
	return r.keep(len(raw))
}

// A score is a number, if there is one.
type score struct {
	value float64
	given bool
}

// number reads a number.
func (r *reader) number(to *score) error {
	if r.null() {
		return r.skip()
	}
	raw, err := r.walk.Number()
	if err != nil {
		return r.mistake(err)
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return r.fail(err)
	}
	*to = score{f, true}
	return nil
}

// integer reads a number that has no fraction.
func (r *reader) integer(to *int) error {
	var n score
	if err := r.number(&n); err != nil || !n.given {
		return err
	}
	if n.value != float64(int32(n.value)) {
		return r.fail(fmt.Errorf("%v, want a whole number", n.value))
	}
	*to = int(n.value)
	return nil
}

// truth reads true or false.
func (r *reader) truth(to *bool) error {
	if r.null() {
		return r.skip()
	}
	is, err := r.walk.Bool()
	if err != nil {
		return r.mistake(err)
	}
	*to = is
	return nil
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

// fail returns err as a mistake in the value where the walk is.
func (r *reader) fail(err error) error {
	return &FormatError{Format: r.format, Where: r.walk.Path(), Err: err}
}

// mistake returns an error of the walk as one of this package. Others, which a caller of this package made or whoever
// gives the report, stay what they are.
func (r *reader) mistake(err error) error {
	switch e := err.(type) {
	case *jsonstream.SyntaxError:
		return &FormatError{Format: r.format, Where: e.Path, Err: fmt.Errorf("%s at byte %d", e.Problem, e.Offset)}
	case *jsonstream.KindError:
		return &FormatError{Format: r.format, Where: e.Path, Err: fmt.Errorf("%s, want %s", e.Got, e.Want)}
	case *jsonstream.LimitError:
		return r.over(e)
	}
	return err
}

func (r *reader) over(e *jsonstream.LimitError) error {
	switch e.What {
	case jsonstream.Names:
		return &attest.LimitError{What: whatNames, Limit: e.Limit, Got: e.Got}
	case jsonstream.Depth:
		return &FormatError{Format: r.format, Where: e.Path, Err: fmt.Errorf("more than %d objects and lists within each other", e.Limit)}
	}
	return &attest.LimitError{What: whatValue, Limit: e.Limit, Got: e.Got}
}
