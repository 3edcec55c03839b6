package jsonstream

import (
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"strconv"
	"strings"
)

// A Kind is what a value is.
type Kind byte

// The kinds of values.
const (
	None   Kind = 0 // there is no value: the document ends, or something else comes
	Object Kind = '{'
	List   Kind = '['
	Text   Kind = '"'
	Number Kind = '0'
	True   Kind = 't'
	False  Kind = 'f'
	Null   Kind = 'n'
)

// kinds is the kind of a value by its first byte.
var kinds = [256]Kind{
	'{': Object, '[': List, '"': Text, 't': True, 'f': False, 'n': Null,
	'-': Number, '0': Number, '1': Number, '2': Number, '3': Number, '4': Number,
	'5': Number, '6': Number, '7': Number, '8': Number, '9': Number,
}

// String returns the kind as errors name it, "an object".
func (k Kind) String() string {
	switch k {
	case Object:
		return "an object"
	case List:
		return "a list"
	case Text:
		return "text"
	case Number:
		return "a number"
	case True:
		return "true"
	case False:
		return "false"
	case Null:
		return "null"
	}
	return "no value"
}

// Limits bound what a [Walker] holds. All must be positive.
type Limits struct {
	ValueBytes int // one text that is asked for, as it is written, or one number
	NameBytes  int // one name, as it is written
	Names      int // names in one object; those that are open within each other may have four times as many
	Depth      int // objects and lists within each other
}

// window is how much is read at once. The first read is small, since most documents are.
const (
	window      = 128 << 10
	firstWindow = 4 << 10
)

// A Walker goes through one JSON document, value by value. After an error it is of no more use. It is not safe for
// concurrent use.
type Walker struct {
	in     io.Reader
	limits Limits

	buf     []byte // the window
	at, end int    // buf[at:end] is what is not yet read
	before  int64  // bytes of the input that have left the window
	err     error  // why nothing can be read from in any more

	due    bool // a value comes next
	levels []level
	path   []byte   // names of the members that are open, outermost first
	hashes []uint64 // of the names in objects that are open and have few
	names  int      // in all objects that are open
	seed   maphash.Seed
	plain  []byte // text without escapes
}

// A level is an object or a list that is open.
type level struct {
	end    byte     // '}' or ']'
	count  int      // members or elements that have begun
	name   int      // index in Walker.path of the name of its member
	hashes int      // index in Walker.hashes of the first name
	many   []uint64 // hashes of all its names, once there are many: a table with open addressing, 0 where it is free
}

// New returns a walker at the begin of what in has.
func New(in io.Reader, limits Limits) *Walker {
	return &Walker{in: in, limits: limits, due: true, seed: maphash.MakeSeed()}
}

// Peek returns the kind of the next value, [None] if there is none. Asking for that value says why.
func (w *Walker) Peek() Kind {
	if !w.due {
		return None
	}
	return kinds[w.next()]
}

// Object calls member for each member of an object, which reads the value: what it does not read is passed over. The name
// is good until member returns.
func (w *Walker) Object(member func(name []byte) error) error {
	if err := w.begin(Object); err != nil {
		return err
	}
	for {
		if more, err := w.step(); !more {
			return err
		}
		w.due = true
		if err := member(w.path[w.levels[len(w.levels)-1].name:]); err != nil {
			return err
		}
		if err := w.rest(); err != nil {
			return err
		}
	}
}

// List calls each for each element of a list, which reads it: what it does not read is passed over.
func (w *Walker) List(each func() error) error {
	if err := w.begin(List); err != nil {
		return err
	}
	for {
		if more, err := w.step(); !more {
			return err
		}
		w.due = true
		if err := each(); err != nil {
			return err
		}
		if err := w.rest(); err != nil {
			return err
		}
	}
}

// Bool reads true or false.
func (w *Walker) Bool() (bool, error) {
	kind := w.Peek()
	if kind != True && kind != False {
		return false, w.other("true or false")
	}
	return kind == True, w.Skip()
}

// Skip passes over a value of any kind.
func (w *Walker) Skip() error {
	if !w.due {
		return w.other("a value")
	}
	w.due = false
	depth := len(w.levels)
	for {
		if err := w.pass(); err != nil {
			return err
		}
		for more := false; !more; {
			if len(w.levels) == depth {
				return nil
			}
			var err error
			if more, err = w.step(); err != nil {
				return err
			}
		}
	}
}

// Pass passes over a value of any kind, and looks only for where it ends: at brackets, and at the quotes of text. Skip
// checks what it passes over; Pass leaves that to a reader of the value, and has no limit on its depth or its names.
func (w *Walker) Pass() error {
	if !w.due {
		return w.other("a value")
	}
	w.due = false
	for depth := 0; ; {
		switch c := w.next(); c {
		case '{', '[':
			w.at++
			depth++
		case '"':
			if err := w.passText(); err != nil {
				return err
			}
		case '}', ']', ',', ':':
			if depth == 0 {
				return w.unexpected("a value")
			}
			w.at++
			if c == '}' || c == ']' {
				depth--
			}
		default:
			if !w.passWord() {
				return w.unexpected("a value")
			}
		}
		if depth == 0 {
			return nil
		}
	}
}

// passWord passes over what is neither text nor a bracket. It returns false if there is nothing.
func (w *Walker) passWord() bool {
	any := false
	for {
		for ; w.at < w.end; w.at++ {
			switch w.buf[w.at] {
			case ' ', '\t', '\r', '\n', ',', ':', '{', '}', '[', ']', '"':
				return any
			}
			any = true
		}
		if !w.more(w.at) {
			return any
		}
	}
}

// End reports what is behind the value.
func (w *Walker) End() error {
	if w.next(); w.at < w.end {
		return w.wrong(w.at, "something follows it")
	}
	if w.err != io.EOF {
		return w.err
	}
	return nil
}

// Path returns where the walk is: Results[0].Vulnerabilities[2] is the third element of a list in the first of another.
// Names that do not look like one are quoted. It does not get long.
func (w *Walker) Path() string {
	const most = 200
	var b strings.Builder
	for i, l := range w.levels {
		if b.Len() > most {
			return b.String() + "…"
		}
		if l.count == 0 {
			break
		}
		if l.end == ']' {
			fmt.Fprintf(&b, "[%d]", l.count-1)
			continue
		}
		name := w.path[l.name:]
		if i+1 < len(w.levels) {
			name = w.path[l.name:w.levels[i+1].name]
		}
		b.WriteString(step(string(name), b.Len() == 0))
	}
	return b.String()
}

// step returns a name as a path has it.
func step(name string, first bool) string {
	const most = 80
	_, err := strconv.ParseUint(name, 10, 64)
	switch {
	case err == nil:
		return "[" + name + "]"
	case name == "" || len(name) > most || strings.ContainsFunc(name, strange):
		return fmt.Sprintf("[%.40q]", name)
	case first:
		return name
	}
	return "." + name
}

func strange(r rune) bool {
	return r <= ' ' || strings.ContainsRune(".[]/\"", r) || !strconv.IsPrint(r)
}

// begin opens an object or a list.
func (w *Walker) begin(kind Kind) error {
	if w.Peek() != kind {
		return w.other(kind.String())
	}
	w.due = false
	return w.open(byte(kind) + 2) // '{' and '}', '[' and ']' are that far from each other
}

func (w *Walker) open(end byte) error {
	if len(w.levels) >= w.limits.Depth {
		return w.over(Depth, w.limits.Depth, len(w.levels)+1)
	}
	w.at++
	w.levels = append(w.levels, level{end: end, name: len(w.path), hashes: len(w.hashes)})
	return nil
}

// step goes on to the next member or element of the innermost level. If there is none it closes the level.
func (w *Walker) step() (more bool, err error) {
	l := &w.levels[len(w.levels)-1]
	c := w.next()
	if c == l.end {
		w.at++
		w.close(l)
		return false, nil
	}
	if l.count > 0 {
		if c != ',' {
			return false, w.unexpected("',' or '" + string(l.end) + "'")
		}
		w.at++
		c = w.next()
	}
	if l.end == ']' {
		l.count++
		return true, nil
	}
	if c != '"' {
		return false, w.unexpected("a name")
	}
	if err := w.name(l); err != nil {
		return false, err
	}
	return true, nil
}

func (w *Walker) close(l *level) {
	if l.end == '}' {
		w.names -= l.count
	}
	w.path = w.path[:l.name]
	w.hashes = w.hashes[:l.hashes]
	w.levels = w.levels[:len(w.levels)-1]
}

// name reads the name of a member, and the colon behind it.
func (w *Walker) name(l *level) error {
	raw, err := w.literal(NameBytes, w.limits.NameBytes)
	if err != nil {
		return err
	}
	name, _, err := w.unquoted(raw, len(raw), w.at-1-len(raw))
	if err != nil {
		return err
	}
	l.count++
	w.names++
	w.path = append(w.path[:l.name], name...)
	if l.count > w.limits.Names || w.names > 4*w.limits.Names {
		return w.over(Names, w.limits.Names, max(l.count, w.names/4))
	}
	if !w.fresh(l, maphash.Bytes(w.seed, name)) {
		return w.wrong(w.at, "a name given twice")
	}
	if w.next() != ':' {
		return w.unexpected("':'")
	}
	w.at++
	return nil
}

// few names are compared one by one.
const few = 32

// fresh says whether no name of that hash was in the object, and remembers it.
func (w *Walker) fresh(l *level, hash uint64) bool {
	if l.count > few {
		if 2*l.count > len(l.many) {
			l.many = grown(l.many, w.hashes[l.hashes:])
		}
		return put(l.many, hash)
	}
	if slices.Contains(w.hashes[l.hashes:], hash) {
		return false
	}
	w.hashes = append(w.hashes, hash)
	return true
}

// grown returns a larger table, with the first few hashes if there was none.
func grown(table, first []uint64) []uint64 {
	if table == nil {
		table = first
	}
	larger := make([]uint64, max(8*few, 2*len(table)))
	for _, hash := range table {
		if hash != 0 {
			put(larger, hash)
		}
	}
	return larger
}

// put puts a hash into a table, whose length is a power of two, and says whether it was not there.
func put(table []uint64, hash uint64) bool {
	hash = max(hash, 1)
	last := uint64(len(table) - 1)
	i := hash & last
	for table[i] != 0 && table[i] != hash {
		i = (i + 1) & last
	}
	fresh := table[i] == 0
	table[i] = hash
	return fresh
}

// rest passes over a value that nobody has read.
func (w *Walker) rest() error {
	if !w.due {
		return nil
	}
	return w.Skip()
}

// other returns the error for a value that is not what was asked for.
func (w *Walker) other(want string) error {
	if !w.due {
		return w.wrong(w.at, "no value left to read")
	}
	if kind := w.Peek(); kind != None {
		return &KindError{Path: w.Path(), Got: kind, Want: want}
	}
	return w.unexpected("a value")
}

// pass passes over a value, or the begin of an object or a list.
func (w *Walker) pass() error {
	switch c := w.next(); kinds[c] {
	case Object, List:
		return w.open(c + 2)
	case Text:
		return w.passText()
	case Number:
		_, err := w.digits()
		return err
	case True:
		return w.word("true")
	case False:
		return w.word("false")
	case Null:
		return w.word("null")
	}
	return w.unexpected("a value")
}

func (w *Walker) word(word string) error {
	for w.end-w.at < len(word) && w.more(w.at) {
	}
	if got := w.buf[w.at:min(w.at+len(word), w.end)]; string(got) != word {
		if strings.HasPrefix(word, string(got)) {
			return w.cut()
		}
		return w.wrong(w.at, "%.10q, want %q", got, word)
	}
	w.at += len(word)
	return nil
}

// next returns the next byte that is not white space, and leaves it there; 0 if there is none.
func (w *Walker) next() byte {
	for {
		for ; w.at < w.end; w.at++ {
			switch c := w.buf[w.at]; c {
			case ' ', '\t', '\r', '\n':
			default:
				return c
			}
		}
		if !w.more(w.at) {
			return 0
		}
	}
}

// more reads on. The window holds what is in it from index from on, which is 0 afterwards.
func (w *Walker) more(from int) bool {
	if w.err != nil {
		return false
	}
	size := len(w.buf)
	grow := w.end == size && size < window
	held := copy(w.buf, w.buf[from:w.end])
	w.before += int64(from)
	w.at -= from
	if w.end = held; grow || held == size {
		w.buf = append(w.buf, make([]byte, max(firstWindow, size))...)
	}
	for range 100 { // as bufio does, for a reader that gives neither bytes nor an error
		n, err := w.in.Read(w.buf[w.end:])
		w.end += n
		w.err = err
		if n > 0 || err != nil {
			return n > 0
		}
	}
	w.err = io.ErrNoProgress
	return false
}
