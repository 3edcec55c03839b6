package intoto

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// An outer reads the outermost objects of a statement, an envelope or a bundle. The payload of an envelope is one text, as
// large as an SBOM, and a tokenizer holds each text as a whole. So names and short texts are held and checked, and other
// values pass by: only brackets and the ends of texts are looked at, and what is in them is for a strict reader to see.
type outer struct {
	in *bufio.Reader
}

// maxOuter bounds a text that is held, and the names of an object.
const maxOuter = 64 << 10

// newOuter returns an outer that reads from in.
func newOuter(in io.Reader) *outer { return &outer{in: bufio.NewReaderSize(in, maxOuter)} }

// next passes over white space and returns what is behind it.
func (o *outer) next() (byte, error) {
	for {
		b, err := o.in.ReadByte()
		switch {
		case err != nil:
			return 0, early(err)
		case b != ' ' && b != '\n' && b != '\t' && b != '\r':
			return b, o.in.UnreadByte()
		}
	}
}

// take reads one of some bytes.
func (o *outer) take(want string) (byte, error) {
	got, err := o.next()
	if err != nil {
		return 0, err
	}
	if strings.IndexByte(want, got) < 0 {
		return 0, fmt.Errorf("malformed JSON: %q, want one of %s", got, want)
	}
	return o.in.ReadByte()
}

// end says whether nothing follows.
func (o *outer) end() error {
	if _, err := o.next(); err != io.ErrUnexpectedEOF {
		return errors.Join(err, errors.New("more than one JSON value"))
	}
	return nil
}

// object calls member, which reads the value, for each member of an object. It refuses a name given twice, and one that
// another reader could take for one of known.
func (o *outer) object(known []string, member func(name string) error) error {
	if _, err := o.take("{"); err != nil {
		return err
	}
	seen := map[string]bool{}
	for more, err := o.take(`"}`); ; more, err = o.take(`,}`) {
		if err != nil || more == '}' {
			return err
		}
		if more == '"' {
			err = o.in.UnreadByte()
		}
		name, nameErr := o.text()
		alike := func(k string) bool { return name != k && strings.EqualFold(name, k) }
		switch i := slices.IndexFunc(known, alike); {
		case err != nil || nameErr != nil:
			return errors.Join(err, nameErr)
		case i >= 0:
			return &FieldError{Field: name, Problem: fmt.Sprintf("differs from %q in case only", known[i])}
		case seen[name]:
			return &FieldError{Field: name, Problem: "given twice"}
		case len(seen) == maxOuter:
			return &LimitError{What: "object names", Limit: maxOuter, Got: maxOuter + 1}
		}
		seen[name] = true
		if _, err := o.take(":"); err != nil {
			return err
		}
		if err := member(name); err != nil {
			return err
		}
	}
}

// text reads a text that is not long.
func (o *outer) text() (text string, err error) {
	var held []byte
	var wrong error
	err = o.stream(func(in io.Reader) {
		held, wrong = io.ReadAll(io.LimitReader(in, maxOuter+1))
		if len(held) > maxOuter {
			wrong = &LimitError{What: "text bytes", Limit: maxOuter, Got: int64(len(held))}
		}
	})
	if err == nil && wrong == nil && !utf8.Valid(held) {
		wrong = errors.New("not valid UTF-8")
	}
	return string(held), errors.Join(err, wrong)
}

// stream hands a text, without its escapes, to read, and goes on to its end.
func (o *outer) stream(read func(io.Reader)) error {
	if _, err := o.take(`"`); err != nil {
		return err
	}
	text := &streamed{in: o.in}
	if read(text); text.ended {
		return nil
	}
	return o.rest(true)
}

// pass passes over a value of any kind.
func (o *outer) pass() error {
	switch first, err := o.next(); {
	case err != nil:
		return err
	case strings.IndexByte(behind, first) >= 0:
		return fmt.Errorf("malformed JSON: %q, want a value", first)
	case strings.IndexByte(`"{[`, first) >= 0:
		return o.rest(false)
	}
	for {
		b, err := o.in.ReadByte()
		if err != nil {
			return early(err)
		}
		if strings.IndexByte(behind, b) >= 0 {
			return o.in.UnreadByte()
		}
	}
}

// behind is what can follow a word or a number.
const behind = ",:}] \t\r\n"

// rest passes over text, lists and objects, up to where all that were begun have ended. It begins in a text or before one.
func (o *outer) rest(inText bool) error {
	escaped := false
	for depth := 0; ; {
		part, err := held(o.in)
		if err != nil {
			return err
		}
		for i, b := range part {
			switch {
			case escaped:
				escaped = false
				continue
			case b == '"':
				inText = !inText
			case inText:
				escaped = b == '\\'
				continue
			case b == '{' || b == '[':
				depth++
			case b == '}' || b == ']':
				depth--
			}
			if depth <= 0 && !inText {
				_, err = o.in.Discard(i + 1)
				return err
			}
		}
		if _, err := o.in.Discard(len(part)); err != nil {
			return err
		}
	}
}

// held returns what is in memory of the input, or will be after one read.
func held(in *bufio.Reader) ([]byte, error) {
	if _, err := in.Peek(1); err != nil {
		return nil, early(err)
	}
	return in.Peek(in.Buffered())
}

// A streamed text is what is left of one.
type streamed struct {
	in    *bufio.Reader
	plain []byte // of an escape
	ended bool
}

func (s *streamed) Read(p []byte) (int, error) {
	for len(p) > 0 && len(s.plain) == 0 {
		if s.ended {
			return 0, io.EOF
		}
		part, err := held(s.in)
		if err != nil {
			return 0, err
		}
		part = part[:min(len(part), len(p))]
		for _, end := range []byte{'"', '\\'} {
			if i := bytes.IndexByte(part, end); i >= 0 {
				part = part[:i]
			}
		}
		if n := copy(p, part); n > 0 {
			return s.in.Discard(n)
		}
		if b, _ := s.in.ReadByte(); b == '"' {
			s.ended = true
		} else if s.plain, err = s.escape(); err != nil {
			return 0, early(err)
		}
	}
	n := copy(p, s.plain)
	s.plain = s.plain[n:]
	return n, nil
}

// escape reads what is behind a backslash: one letter, four digits, or another escape with four after these.
func (s *streamed) escape() ([]byte, error) {
	size := 1
	if next, _ := s.in.Peek(7); len(next) > 0 && next[0] == 'u' {
		size = 5
		if pair := len(next) == 7 && string(next[5:]) == `\u`; pair && next[1]|0x20 == 'd' && next[2] >= '8' {
			size = 11
		}
	}
	raw := make([]byte, size)
	if _, err := io.ReadFull(s.in, raw); err != nil {
		return nil, err
	}
	return jsontext.AppendUnquote(nil, `"\`+string(raw)+`"`)
}

// early tells an end that comes too early from the end of the whole.
func early(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
