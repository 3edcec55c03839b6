package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

var (
	hexA = strings.Repeat("a", 64)
	hexB = strings.Repeat("b", 64)
)

// A and B stand for two images in these files.
var stands = strings.NewReplacer("A", "quay.io/shop/api@sha256:"+hexA, "B", "quay.io:443/shop/web@sha256:"+hexB)

func TestParseImages(t *testing.T) {
	for name, text := range map[string]string{
		"a list":                 "A\nB\n",
		"with comments":          "# the release\n\n  A # api\r\n\t\nB",
		"with a byte order mark": "\ufeffA\nB\n",
		"a Snapshot": `apiVersion: appstudio.redhat.com/v1alpha1
kind: Snapshot
metadata: {name: s}
spec:
  application: shop
  components:
  - name: api
    containerImage: A
    source: {git: {url: x}}
  - containerImage: "B"
    name: web
`,
		"a Snapshot after a line": "---\nspec: {components: [{name: api, containerImage: A}, {name: web, containerImage: B}]}",
		"a Snapshot in JSON": `{"kind": "Snapshot", "spec": {"components": [` +
			`{"name": "api", "containerImage": "A", "source": {}}, {"name": "web", "containerImage": "B"}]}}`,
		"JSON over lines": `{
	"kind": "Snapshot", "metadata": {"annotations": {"m": "\ud83d\ude00 \/"}},
	"spec": {"components": [{"name": "api", "containerImage": "A"}, {"name": "web", "containerImage": "B"}]}
}`,
		"the spec of one": "components:\n- {name: api, containerImage: A}\n- {name: web, containerImage: B}\n",
		"the spec of one, in JSON": `{"application": "shop", "components": [` +
			`{"name": "api", "containerImage": "A"}, {"name": "web", "containerImage": "B"}]}`,
		"both": "spec: {components: [{name: api, containerImage: A}]}\ncomponents: [{name: web, containerImage: B}]\n",
		"in a flow that is YAML": "{kind: Snapshot, spec: {components: [{name: api, containerImage: A}, " +
			"{name: web, containerImage: B}]}}",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseImages(strings.NewReader(stands.Replace(text)))
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, image := range got {
				lines = append(lines, fmt.Sprintf("%s is %s", image.Digest, image.Component))
			}
			want := stands.Replace("A is api\nB is web")
			if !strings.Contains(text, "api,") && !strings.Contains(text, "api\n ") && !strings.Contains(text, `"api"`) {
				want = stands.Replace("A is \nB is ")
			}
			if diff := cmp.Diff(want, strings.Join(lines, "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Each mistake is told with its line or its component. A release of which an image is left out in silence is no release.
func TestParseImagesMistakes(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want []string // parts of the mistakes
	}{
		"nothing":        {"", []string{"images: empty"}},
		"comments alone": {"# none\n\n   # here\n", []string{"images: empty"}},
		"tags": {"A\nquay.io/shop/api:v1\n# x\nquay.io/shop/web\n", []string{
			"line 2: quay.io/shop/api:v1 is not REPOSITORY@DIGEST", "line 4: quay.io/shop/web is not",
		}},
		"two in a line":      {"A B", []string{"line 1: "}},
		"a digest cut short": {"quay.io/shop/api@sha256:abc", []string{"line 1: "}},
		"a list of YAML":     {"- A\n- B\n", []string{"line 1: - quay", "line 2: - quay"}},
		"a list of JSON":     {`["A"]`, []string{"line 1: "}},
		"hostile":            {"\x1b[2J\n", []string{`line 1: "\x1b[2J" is not`}},
		"a Snapshot with a tag": {"spec: {components: [{name: api, containerImage: A}, {containerImage: 'quay.io/shop/web:v1'}]}",
			[]string{"spec.components[1].containerImage: quay.io/shop/web:v1 is not"}},
		"a component without": {`{"components": [{"name": "api"}, {"name": "web", "containerImage": "x"}]}`,
			[]string{"components[0].containerImage: required", "components[1].containerImage: x is not"}},
		"null in YAML": {"spec: {components: [~, {containerImage: A}]}\ncomponents:\n- containerImage: B\n-\n", []string{
			"spec.components[0].containerImage: required", "policy: components[1].containerImage: required",
		}},
		"null in JSON":   {`{"components": [null, {"containerImage": "A"}]}`, []string{"components[0].containerImage: required"}},
		"no components":  {"kind: Snapshot\nspec: {}\n", []string{"spec.components: required"}},
		"something else": {"kind: ConfigMap\ndata: {}\n", []string{"kind: ConfigMap is not Snapshot"}},
		"several Snapshots": {`{"kind": "List", "items": []}`,
			[]string{"kind: List is not Snapshot; a list of Snapshots is several releases"}},
		"two documents": {"spec: {components: [{containerImage: A}]}\n---\nspec: {components: [{containerImage: B}]}\n",
			[]string{"more than one document"}},
		"components given twice": {"components: [{containerImage: A}]\ncomponents: [{containerImage: B}]\n",
			[]string{`"components" already defined`}},
		"twice in JSON":      {`{"components": [{"containerImage": "A"}], "components": []}`, []string{"given twice"}},
		"no YAML":            {"spec: [\n", []string{"neither a Snapshot nor one image in each line"}},
		"components is text": {"components: A\n", []string{"neither a Snapshot"}},
		"too large":          {strings.Repeat("#", mostOfImages+1), []string{"larger than"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseImages(strings.NewReader(stands.Replace(tt.text)))
			if err == nil {
				t.Fatal("no mistake")
			}
			fields(t, err) // each is a FieldError
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(tt.want) {
				t.Fatalf("got %q", lines)
			}
			for i, want := range tt.want {
				if !strings.Contains(lines[i], want) {
					t.Errorf("%q is not in %q", want, lines[i])
				}
			}
		})
	}
	if _, err := ParseImages(iotest.ErrReader(errBroken)); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}

// Whatever the file holds, there are images or mistakes, and no panic.
func FuzzParseImages(f *testing.F) {
	for _, text := range []string{
		"A\nB", "spec: {components: [{name: api, containerImage: A}]}", `{"components": [{"containerImage": "A"}]}`,
		"a: &a [*a]", "---\n--- x",
	} {
		f.Add(stands.Replace(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		images, err := ParseImages(strings.NewReader(text))
		if err == nil && len(images) == 0 {
			t.Error("neither images nor mistakes")
		}
	})
}
