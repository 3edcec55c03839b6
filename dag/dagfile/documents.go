package dagfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// split returns the documents of YAML, or of JSON as if it were YAML.
//
// JSON is almost YAML, but the YAML library refuses pairs of escaped surrogates and some control characters, so what
// begins like JSON is read as such. YAML may begin with a brace too: the JSON reader's complaint counts only if the YAML
// library does not understand the text either.
func split(data []byte, o Options) ([]*yaml.Node, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if at := invalidUTF8(data); at >= 0 {
		return nil, errorAt(data, at, errors.New("not UTF-8"))
	}
	if !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		return splitYAML(data, o)
	}
	var syntax *json.SyntaxError
	if err := json.Unmarshal(data, new(json.RawMessage)); !errors.As(err, &syntax) {
		return splitJSON(data, o)
	}
	documents, err := splitYAML(data, o)
	if err == nil || errors.As(err, new(*LimitError)) {
		return documents, err
	}
	return nil, errorAt(data, int(syntax.Offset)-1, fmt.Errorf("not JSON: %w", syntax))
}

func invalidUTF8(data []byte) int {
	if utf8.Valid(data) {
		return -1
	}
	for at := 0; ; {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size <= 1 {
			return at
		}
		at += size
	}
}

// errorAt places err at an offset.
func errorAt(data []byte, offset int, err error) *Error {
	var p position
	p.advance(data[:max(0, min(offset, len(data)))])
	return &Error{Line: p.line + 1, Column: p.column + 1, Err: err}
}

// A position counts lines and characters from 0.
type position struct{ line, column int }

func (p *position) advance(text []byte) {
	if n := bytes.Count(text, []byte("\n")); n > 0 {
		p.line += n
		p.column = 0
		text = text[bytes.LastIndexByte(text, '\n')+1:]
	}
	p.column += utf8.RuneCount(text)
}

// splitYAML reads documents until one is beyond a limit. The YAML library works by recursion, but counts depth before it
// does, and refuses at a depth that the stack bears easily.
func splitYAML(data []byte, o Options) (documents []*yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			documents, err = nil, fmt.Errorf("the YAML library failed: %v", r)
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		document := new(yaml.Node)
		err := decoder.Decode(document)
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, placeYAML(err, data, o)
		}
		if len(documents) == o.MaxDocuments {
			return nil, errorOf(document, &LimitError{Option: "MaxDocuments", Limit: int64(o.MaxDocuments)})
		}
		if deep := beyond(document, o.MaxDepth+1); deep != nil {
			return nil, errorOf(deep, &LimitError{Option: "MaxDepth", Limit: int64(o.MaxDepth)})
		}
		documents = append(documents, document)
	}
}

// beyond returns the first mapping or list of n that has more than limit others around it, n included.
func beyond(n *yaml.Node, limit int) *yaml.Node {
	if n.Kind == yaml.ScalarNode || n.Kind == yaml.AliasNode {
		return nil
	}
	if limit == 0 {
		return n
	}
	for _, child := range n.Content {
		if deep := beyond(child, limit-1); deep != nil {
			return deep
		}
	}
	return nil
}

// yamlErrors finds the parts of an error of the YAML library, which has no type.
var yamlErrors = regexp.MustCompile(`(?s)^yaml: (?:line (\d+): )?(.*)$`)

// miscounted begins the messages of the library's parser, which counts lines from 0; its scanner counts from 1.
var miscounted = []string{
	"did not find expected <", "did not find expected node content", "did not find expected '-' indicator",
	"did not find expected key", "did not find expected ',' or", "found incompatible YAML document",
	"found duplicate %", "found undefined tag handle",
}

// placeYAML finds line and message of an error of the YAML library. It names no line where it means the first.
func placeYAML(err error, data []byte, o Options) error {
	match := yamlErrors.FindStringSubmatch(err.Error())
	if match == nil {
		return err
	}
	message := match[2]
	if strings.HasPrefix(message, "exceeded max depth") {
		err = &LimitError{Option: "MaxDepth", Limit: int64(o.MaxDepth)}
	} else {
		err = fmt.Errorf("not YAML: %s", message)
	}
	if message == "control characters are not allowed" {
		return errorAt(data, bytes.IndexFunc(data, unprintable), err)
	}
	if strings.HasPrefix(message, "unknown anchor") {
		return err
	}
	line, _ := strconv.Atoi(match[1])
	if line == 0 || slices.ContainsFunc(miscounted, func(m string) bool { return strings.HasPrefix(message, m) }) {
		line++
	}
	return &Error{Line: line, Err: err}
}

// unprintable reports whether YAML must escape r.
func unprintable(r rune) bool {
	switch {
	case r == '\t' || r == '\n' || r == '\r' || r == 0x85:
		return false
	case r < 0x20 || r >= 0x7f && r < 0xa0:
		return true
	}
	return r == 0xfffe || r == 0xffff
}

// splitJSON makes a YAML document of JSON that is known to be well formed.
func splitJSON(data []byte, o Options) ([]*yaml.Node, error) {
	j := &jsonReader{data: data, decoder: json.NewDecoder(bytes.NewReader(data)), limit: o.MaxDepth}
	j.decoder.UseNumber()
	root, err := j.value(0)
	if err != nil {
		return nil, err
	}
	return []*yaml.Node{{Kind: yaml.DocumentNode, Content: []*yaml.Node{root}, Line: root.Line, Column: root.Column}}, nil
}

type jsonReader struct {
	data    []byte
	decoder *json.Decoder
	limit   int
	offset  int // where place stands
	place   position
}

// next returns the next token as it is written, and a node of its place.
func (j *jsonReader) next() (token json.Token, raw []byte, n *yaml.Node, err error) {
	start := int(j.decoder.InputOffset())
	if token, err = j.decoder.Token(); err != nil {
		return nil, nil, nil, err
	}
	end := int(j.decoder.InputOffset())
	for start < end && strings.IndexByte(" \t\r\n,:", j.data[start]) >= 0 {
		start++
	}
	j.place.advance(j.data[j.offset:start])
	j.offset = start
	return token, j.data[start:end], &yaml.Node{Line: j.place.line + 1, Column: j.place.column + 1}, nil
}

// value reads one value that has depth others around it.
func (j *jsonReader) value(depth int) (*yaml.Node, error) {
	token, raw, n, err := j.next()
	if err != nil {
		return nil, err
	}
	n.Kind = yaml.ScalarNode
	switch token := token.(type) {
	case json.Delim:
		return n, j.composite(n, token, depth)
	case string:
		n.Tag, n.Value = "!!str", token
		if loneSurrogate(raw) {
			return nil, errorOf(n, errors.New("half a pair of surrogates is escaped; write both, or the character itself"))
		}
	case json.Number:
		n.Tag, n.Value = "!!float", token.String()
	case bool:
		n.Tag, n.Value = "!!bool", strconv.FormatBool(token)
	case nil:
		n.Tag, n.Value = "!!null", "null"
	}
	return n, nil
}

func (j *jsonReader) composite(n *yaml.Node, open json.Delim, depth int) error {
	n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
	if open == '{' {
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
	}
	if depth == j.limit {
		return errorOf(n, &LimitError{Option: "MaxDepth", Limit: int64(j.limit)})
	}
	for j.decoder.More() {
		child, err := j.value(depth + 1)
		if err != nil {
			return err
		}
		n.Content = append(n.Content, child)
	}
	_, _, _, err := j.next()
	return err
}

// loneSurrogate reports whether a JSON string escapes half a pair of surrogates, for which encoding/json puts another
// character.
func loneSurrogate(raw []byte) bool {
	for at := bytes.IndexByte(raw, '\\'); at >= 0 && at < len(raw); at++ {
		if raw[at] != '\\' {
			continue
		}
		r := escaped(raw[at:])
		if !utf16.IsSurrogate(r) {
			at++
			continue
		}
		if utf16.DecodeRune(r, escaped(raw[at+6:])) == utf8.RuneError {
			return true
		}
		at += 11
	}
	return false
}

// escaped returns the character of an escape \uXXXX at the beginning of raw, or -1 if there is none.
func escaped(raw []byte) rune {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(raw[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}
