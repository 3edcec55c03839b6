package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"go.yaml.in/yaml/v3"

	"github.com/testdag/testdag/internal/strictjson"
)

// mostOfImages is how large a list of images may be, in bytes.
const mostOfImages = 16 << 20

// ParseImages reads which images a release has, from one of two forms:
//
//   - a Snapshot of Konflux, whole or its spec alone, in YAML or JSON. Each of its components is an image, and gives it its
//     name as Component.
//   - a list with one image in each line. A # begins a comment.
//
// An image is REPOSITORY@DIGEST; a tag alone is a mistake, since it can be moved between two calls. ParseImages reports
// every mistake, each a [*FieldError] that names the component or the line. A file without images is a mistake too.
func ParseImages(r io.Reader) ([]Image, error) {
	data, err := io.ReadAll(io.LimitReader(r, mostOfImages+1))
	if err != nil {
		return nil, fmt.Errorf("policy: images: %w", err)
	}
	if len(data) > mostOfImages {
		return nil, &FieldError{Field: "images", Problem: fmt.Sprintf("larger than %d bytes", mostOfImages)}
	}
	text := strings.TrimPrefix(string(data), "\ufeff")
	var found imageReader
	switch first := firstLine(text); {
	case first == "":
		found.mistakes.add("images", "empty; want a Snapshot, or one image in each line")
	case mapping.MatchString(first):
		found.snapshot(text)
	default:
		found.list(text)
	}
	return found.images, found.mistakes.err()
}

// mapping matches the first line of YAML or JSON that is no list: "kind: Snapshot", "spec:", "---", "{".
var mapping = regexp.MustCompile(`^\{|^---|:$|: `)

// firstLine returns the first line that says something.
func firstLine(text string) string {
	for line := range strings.Lines(text) {
		if line = withoutComment(line); line != "" {
			return line
		}
	}
	return ""
}

func withoutComment(line string) string {
	line, _, _ = strings.Cut(line, "#")
	return strings.TrimSpace(line)
}

// An imageReader collects images and mistakes.
type imageReader struct {
	images   []Image
	mistakes checklist
}

// add reads one image. At is where it stands.
func (r *imageReader) add(at FieldError, component, ref string) {
	image, err := name.NewDigest(ref)
	switch {
	case ref == "":
		at.Problem = "required: REPOSITORY@DIGEST"
	case err != nil:
		at.Problem = fmt.Sprintf("%s is not REPOSITORY@DIGEST: %s", shown(ref), shownError(err))
	default:
		r.images = append(r.images, Image{Digest: image, Component: component})
		return
	}
	r.mistakes = append(r.mistakes, &at)
}

func (r *imageReader) list(text string) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		if ref := withoutComment(line); ref != "" {
			r.add(FieldError{Line: number}, "", ref)
		}
	}
}

// A snapshot is a Snapshot of Konflux, or its spec. Format: api/v1alpha1 of konflux-ci/application-api.
type snapshot struct {
	Kind string `json:"kind" yaml:"kind"`
	Spec struct {
		Components []*component `json:"components" yaml:"components"`
	} `json:"spec" yaml:"spec"`
	Components []*component `json:"components" yaml:"components"`
}

// A component is decoded by pointer: package yaml leaves null out of a list of structs, and the release would lack an image.
type component struct {
	Name           string `json:"name" yaml:"name"`
	ContainerImage string `json:"containerImage" yaml:"containerImage"`
}

func (r *imageReader) snapshot(text string) {
	var s snapshot
	if err := decodeSnapshot(text, &s); err != nil {
		r.mistakes.add("images", "neither a Snapshot nor one image in each line: %s", shownError(err))
		return
	}
	if s.Kind != "" && s.Kind != "Snapshot" {
		r.mistakes.add("kind", "%s is not Snapshot; a list of Snapshots is several releases, so name one", shown(s.Kind))
		return
	}
	if len(s.Spec.Components)+len(s.Components) == 0 {
		r.mistakes.add("spec.components", "required: at least one component")
	}
	r.components("spec.components", s.Spec.Components)
	r.components("components", s.Components)
}

func (r *imageReader) components(field string, all []*component) {
	for i, c := range all {
		if c == nil {
			c = &component{}
		}
		r.add(FieldError{Field: fmt.Sprintf("%s[%d].containerImage", field, i)}, c.Name, c.ContainerImage)
	}
}

// decodeSnapshot reads JSON or YAML. What comes behind the first document would be left out in silence, so it is an error.
func decodeSnapshot(text string, into *snapshot) error {
	if json.Valid([]byte(text)) {
		return strictjson.Decode([]byte(text), into, strictjson.Limits{Depth: 64, Values: 1 << 20})
	}
	dec := yaml.NewDecoder(strings.NewReader(text))
	if err := dec.Decode(into); err != nil {
		return err
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("more than one document; a Snapshot is one")
	}
	return nil
}
