// Package strictjson decodes JSON that has only one reading.
//
// encoding/json takes the last of two equal keys and lets "PayloadType" stand for "payloadType"; other decoders choose
// otherwise. Signed data must mean the same to whoever reads it, so [Decode] refuses what could be read in two ways.
// Unknown fields are left alone: in-toto tells consumers to ignore them.
package strictjson

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// A KeyError reports a key that can be read in two ways.
type KeyError struct {
	Path    string // where the object is: "$.subject[0]"
	Key     string // the key as written
	Problem string // "given twice", or which field it could be taken for
}

func (e *KeyError) Error() string { return fmt.Sprintf("key %q in %s: %s", e.Key, e.Path, e.Problem) }

// Limits bound a document. A short document can become a large value: each {} in a list is two bytes here and a whole
// struct in memory, so values are counted besides bytes.
type Limits struct {
	Depth  int // objects and lists within each other
	Values int // values of all kinds, wherever they are
}

// Default bounds a statement, with all that a report of ten thousand findings becomes.
var Default = Limits{Depth: 64, Values: 1 << 18}

// A LimitError reports a document over one of the [Limits].
type LimitError struct {
	What  string // "depth" or "values"
	Limit int    // the most that is allowed
}

func (e *LimitError) Error() string { return fmt.Sprintf("%s over the limit of %d", e.What, e.Limit) }

// Decode decodes the one JSON value in data into v, which must be a pointer. It refuses a key given twice in one
// object, a key that differs from a field of v in case only, what is over the limits, invalid UTF-8, and anything after
// the value. Numbers without a type of their own become [json.Number], so none loses digits.
func Decode(data []byte, v any, limits Limits) error {
	if !utf8.Valid(data) {
		return errors.New("not valid UTF-8")
	}
	// UTF-8 is known to be valid. What is allowed is half a surrogate pair in an escape, as encoding/json has it.
	s := scanner{tokens: jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowInvalidUTF8(true)), limits: limits}
	err := s.value(reflect.TypeOf(v), 0)
	if err != nil && !errors.As(err, new(*jsontext.SyntacticError)) { // of syntax encoding/json tells below
		return within("$", err)
	}
	if _, end := s.tokens.ReadToken(); err == nil && end != io.EOF {
		return errors.New("more than one JSON value")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return cmp.Or(dec.Decode(v), err)
}

// A scanner walks over a document and, beside it, over the Go type that it will be decoded into. A nil type means free
// form.
type scanner struct {
	tokens *jsontext.Decoder
	limits Limits
	values int // seen so far
}

func (s *scanner) value(t reflect.Type, depth int) error {
	if s.values++; s.values > s.limits.Values {
		return &LimitError{What: "values", Limit: s.limits.Values}
	}
	kind := s.tokens.PeekKind()
	if (kind == '{' || kind == '[') && depth >= s.limits.Depth {
		return &LimitError{What: "depth", Limit: s.limits.Depth}
	}
	if _, err := s.token(); err != nil {
		return err
	}
	switch kind {
	case '[':
		return s.list(elem(t), depth+1)
	case '{':
		return s.object(t, depth+1)
	}
	return nil
}

func (s *scanner) list(t reflect.Type, depth int) error {
	for i := 0; s.tokens.PeekKind() != ']'; i++ {
		if err := s.value(t, depth); err != nil {
			return within(fmt.Sprintf("[%d]", i), err)
		}
	}
	_, err := s.token()
	return err
}

func (s *scanner) object(t reflect.Type, depth int) error {
	known, each := children(t)
	for s.tokens.PeekKind() != '}' {
		token, err := s.token()
		if err != nil {
			return err
		}
		key := token.String()
		if known != nil {
			if name, ok := variant(known, key); ok {
				return &KeyError{Key: key, Problem: fmt.Sprintf("differs from %q in case only", name)}
			}
			each = known[key]
		}
		if err := s.value(each, depth); err != nil {
			return within("."+key, err)
		}
	}
	_, err := s.token()
	return err
}

// token reads a token.
func (s *scanner) token() (jsontext.Token, error) {
	token, err := s.tokens.ReadToken()
	var syntax *jsontext.SyntacticError
	switch {
	case err == io.EOF:
		return token, io.ErrUnexpectedEOF
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntax):
		return token, &KeyError{Key: syntax.JSONPointer.LastToken(), Problem: "given twice"}
	}
	return token, err
}

// within says one step more about where err happened.
func within(step string, err error) error {
	if e, ok := err.(*KeyError); ok {
		e.Path = step + e.Path
	}
	return err
}

// variant returns the field that encoding/json would take key for although it is spelled otherwise.
func variant(known map[string]reflect.Type, key string) (string, bool) {
	if _, ok := known[key]; ok {
		return "", false
	}
	for name := range known {
		if strings.EqualFold(name, key) {
			return name, true
		}
	}
	return "", false
}

// children returns what the fields of a struct are decoded into, or what every value of a map is. It is neither for
// free form.
func children(t reflect.Type) (known map[string]reflect.Type, each reflect.Type) {
	t = plain(t)
	switch {
	case t == nil:
		return nil, nil
	case t.Kind() == reflect.Map:
		return nil, t.Elem()
	case t.Kind() != reflect.Struct:
		return nil, nil
	}
	if known, ok := structs.Load(t); ok {
		return known.(map[string]reflect.Type), nil
	}
	known = fields(t)
	structs.Store(t, known)
	return known, nil
}

// structs remembers what fields has returned. There are as many as there are types.
var structs sync.Map

// fields returns the fields of a struct by their names in JSON. Those of embedded structs are not among them as
// encoding/json has it, so such a struct is refused: it would be read less strictly than it looks.
func fields(t reflect.Type) map[string]reflect.Type {
	known := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			panic(fmt.Sprintf("strictjson: %s has an embedded field, %s", t, f.Name))
		}
		if name == "-" || !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		known[name] = f.Type
	}
	return known
}

func elem(t reflect.Type) reflect.Type {
	t = plain(t)
	if t == nil || t.Kind() != reflect.Slice {
		return nil
	}
	return t.Elem()
}

// plain takes pointers off t. Types that decode themselves, and interfaces, are free form.
func plain(t reflect.Type) reflect.Type {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() == reflect.Interface {
		return nil
	}
	p := reflect.PointerTo(t)
	if p.Implements(reflect.TypeFor[json.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return nil
	}
	return t
}
