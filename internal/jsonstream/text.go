package jsonstream

import (
	"bytes"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Text reads text and returns it without quotes and escapes. It is good until the next call.
func (w *Walker) Text() ([]byte, error) {
	if w.Peek() != Text {
		return nil, w.other(Text.String())
	}
	w.due = false
	raw, err := w.literal(ValueBytes, w.limits.ValueBytes)
	if err != nil {
		return nil, err
	}
	text, _, err := w.unquoted(raw, len(raw), w.at-1-len(raw))
	return text, err
}

// Begin reads text and returns how it begins: all of it if that is no more than most bytes, otherwise at least as many, up
// to the end of a character. The rest is passed over, however long it is. It is good until the next call.
func (w *Walker) Begin(most int) ([]byte, error) {
	if w.Peek() != Text {
		return nil, w.other(Text.String())
	}
	w.due = false
	w.at++
	written := 6*most + 6 // if all of it is escapes, and the last one half of a pair
	for w.end-w.at < written && w.more(w.at) {
	}
	raw := w.buf[w.at:min(w.end, w.at+written)]
	if quote := closing(raw); quote >= 0 {
		raw = raw[:quote]
	} else if len(raw) < written {
		return nil, w.cut()
	}
	text, used, err := w.unquoted(raw, most, w.at)
	if err != nil {
		return nil, err
	}
	w.plain = append(w.plain[:0], text...) // for the window may move
	w.at += used
	return w.plain, w.passRest()
}

// Stream reads text of any length: use gets a reader of the text without quotes and escapes. What use does not read is
// passed over. Bytes that are not UTF-8 and control characters are not seen.
func (w *Walker) Stream(use func(io.Reader) error) error {
	if w.Peek() != Text {
		return w.other(Text.String())
	}
	w.due = false
	w.at++
	r := &textReader{w: w}
	if err := use(r); err != nil {
		return err
	}
	switch {
	case r.err == nil:
		return w.passRest()
	case r.err != io.EOF:
		return r.err
	}
	return nil
}

// A textReader reads text out of the window of a Walker.
type textReader struct {
	w    *Walker
	rest []byte // of an escape
	err  error  // io.EOF behind the closing quote
}

func (r *textReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 && r.err == nil && len(p) > 0 {
		w := r.w
		if w.at == w.end && !w.more(w.at) {
			r.err = w.cut()
			break
		}
		part := w.buf[w.at:min(w.end, w.at+len(p))]
		if i := bytes.IndexByte(part, '"'); i >= 0 {
			part = part[:i]
		}
		if i := bytes.IndexByte(part, '\\'); i >= 0 {
			part = part[:i]
		}
		if len(part) > 0 {
			w.at += len(part)
			return copy(p, part), nil
		}
		if w.buf[w.at] == '"' {
			w.at++
			r.err = io.EOF
			break
		}
		r.rest, r.err = w.escape()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	if n > 0 {
		return n, nil
	}
	return 0, r.err
}

// escape reads an escape.
func (w *Walker) escape() ([]byte, error) {
	const longest = len(`\ud83d\ude00`)
	for w.end-w.at < longest && w.more(w.at) {
	}
	if w.end-w.at < 2 {
		return nil, w.cut()
	}
	w.plain = w.plain[:0]
	raw := w.buf[w.at:min(w.end, w.at+longest)]
	size := w.unquote(raw)
	if size == 0 {
		return nil, w.wrong(w.at, "%q in text", raw[:min(6, len(raw))])
	}
	w.at += size
	return w.plain, nil
}

// Number reads a number and returns it as it is written. It is good until the next call.
func (w *Walker) Number() ([]byte, error) {
	if w.Peek() != Number {
		return nil, w.other(Number.String())
	}
	w.due = false
	return w.digits()
}

// backslashes counts how many are at the end of b. An odd number escapes what follows.
func backslashes(b []byte) int {
	n := 0
	for n < len(b) && b[len(b)-1-n] == '\\' {
		n++
	}
	return n
}

// closing returns the index of the quote that ends text, -1 if there is none. No escape is open where part begins.
func closing(part []byte) int {
	for from := 0; ; {
		quote := bytes.IndexByte(part[from:], '"')
		if quote < 0 {
			return -1
		}
		if backslashes(part[from:from+quote])%2 == 0 {
			return from + quote
		}
		from += quote + 1
	}
}

// passText passes over text.
func (w *Walker) passText() error {
	w.at++
	return w.passRest()
}

// passRest passes over the rest of text, from where no escape is open.
func (w *Walker) passRest() error {
	for {
		part := w.buf[w.at:w.end]
		if quote := closing(part); quote >= 0 {
			w.at += quote + 1
			return nil
		}
		w.at = w.end - backslashes(part)%2
		if !w.more(w.at) {
			return w.cut()
		}
	}
}

// literal reads text and returns what is between its quotes, all of it in the window.
func (w *Walker) literal(what Limit, limit int) ([]byte, error) {
	w.at++
	for seen := 0; ; { // bytes of it, up to where no escape is open
		part := w.buf[w.at+seen : w.end]
		quote := closing(part)
		if quote >= 0 {
			seen += quote
		} else {
			seen += len(part) - backslashes(part)%2
		}
		if seen > limit {
			return nil, w.over(what, limit, seen)
		}
		if quote >= 0 {
			raw := w.buf[w.at : w.at+seen]
			w.at += seen + 1
			return raw, nil
		}
		if !w.more(w.at) {
			return nil, w.cut()
		}
	}
}

// unquoted returns raw without its escapes, as far as that is most bytes or little more, and how much of raw it is. Raw
// begins at index begin of the window.
func (w *Walker) unquoted(raw []byte, most, begin int) (text []byte, used int, err error) {
	n := simple(raw[:min(len(raw), most)])
	if n == len(raw) || n == most {
		return raw[:n], n, nil
	}
	w.plain = w.plain[:0]
	for {
		w.plain = append(w.plain, raw[used:used+n]...)
		used += n
		if used == len(raw) || len(w.plain) >= most {
			return w.plain, used, nil
		}
		size := w.unquote(raw[used:])
		if size == 0 {
			return nil, 0, w.wrong(begin+used, "%q in text", raw[used:min(used+6, len(raw))])
		}
		used += size
		n = simple(raw[used:max(used, min(len(raw), used+most-len(w.plain)))])
	}
}

// simple returns how many bytes of text stand for themselves.
func simple(raw []byte) int {
	for i, c := range raw {
		if c < ' ' || c == '\\' || c >= utf8.RuneSelf {
			return i
		}
	}
	return len(raw)
}

// escapes is what is behind a backslash and what it stands for.
var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// unquote appends to plain what raw begins with, a character or an escape, and returns its size. It is 0 if it is neither.
func (w *Walker) unquote(raw []byte) int {
	if raw[0] >= utf8.RuneSelf {
		r, size := utf8.DecodeRune(raw)
		if r == utf8.RuneError && size == 1 {
			return 0
		}
		w.plain = append(w.plain, raw[:size]...)
		return size
	}
	if raw[0] != '\\' { // a control character
		return 0
	}
	if c := escapes[raw[1]]; c != 0 { // there is one: a backslash does not end text
		w.plain = append(w.plain, c)
		return 2
	}
	r, ok := unit(raw)
	if !ok {
		return 0
	}
	if second, ok := unit(raw[6:]); ok && utf16.IsSurrogate(r) {
		if pair := utf16.DecodeRune(r, second); pair != utf8.RuneError {
			w.plain = utf8.AppendRune(w.plain, pair)
			return 12
		}
	}
	w.plain = utf8.AppendRune(w.plain, r) // U+FFFD for half a pair
	return 6
}

// unit returns the UTF-16 code unit of an escape that raw begins with.
func unit(raw []byte) (rune, bool) {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(raw[2:6]), 16, 16)
	return rune(n), err == nil
}

// digits reads a number.
func (w *Walker) digits() ([]byte, error) {
	for n := 0; ; {
		for w.at+n < w.end && numeric[w.buf[w.at+n]] {
			n++
		}
		if n > w.limits.ValueBytes {
			return nil, w.over(ValueBytes, w.limits.ValueBytes, n)
		}
		if w.at+n == w.end && w.more(w.at) {
			continue
		}
		raw := w.buf[w.at : w.at+n]
		if !isNumber(raw) {
			return nil, w.wrong(w.at, "%.20q, want a number", raw)
		}
		w.at += n
		return raw, nil
	}
}

// numeric is what a number can have in it.
var numeric = [256]bool{
	'0': true, '1': true, '2': true, '3': true, '4': true, '5': true, '6': true, '7': true, '8': true, '9': true,
	'+': true, '-': true, '.': true, 'e': true, 'E': true,
}

// isNumber says whether raw, which is not empty, is a number: RFC 8259, section 6.
func isNumber(raw []byte) bool {
	raw = bytes.TrimPrefix(raw, []byte("-"))
	whole := count(raw)
	if whole == 0 || whole > 1 && raw[0] == '0' {
		return false
	}
	raw = raw[whole:]
	if len(raw) > 0 && raw[0] == '.' {
		n := count(raw[1:])
		if n == 0 {
			return false
		}
		raw = raw[1+n:]
	}
	if len(raw) > 0 && raw[0]|0x20 == 'e' {
		raw = raw[1:]
		if len(raw) > 0 && (raw[0] == '+' || raw[0] == '-') {
			raw = raw[1:]
		}
		return len(raw) > 0 && count(raw) == len(raw)
	}
	return len(raw) == 0
}

// count returns how many digits raw begins with.
func count(raw []byte) int {
	n := 0
	for n < len(raw) && raw[n] >= '0' && raw[n] <= '9' {
		n++
	}
	return n
}
