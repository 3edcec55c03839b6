package registries

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
)

// A copier is a row of the table in the documentation of attest: a command that copies an image.
type copier struct {
	shown string // in the table
	command
	args  func(from, to string) []string // of two repositories
	keeps bool                           // it leaves tags that are there already, so a second copy may lack what is new
}

var copiers = []copier{
	{shown: "cosign copy", command: stock, args: tagged("copy"), keeps: true},
	{shown: "cosign copy -f", command: stock, args: tagged("copy", "-f")},
	{shown: "crane copy", command: crane, args: tagged("copy")},
	{shown: "crane copy -a", command: crane, args: whole("copy", "-a")},
	{shown: "crane copy -a -n", command: crane, args: whole("copy", "-a", "-n"), keeps: true},
	{shown: "oras cp", command: oras, args: tagged("cp", "--from-plain-http", "--to-plain-http")},
	{shown: "oras cp -r", command: oras, args: tagged("cp", "-r", "--from-plain-http", "--to-plain-http")},
	{shown: "regctl image copy", command: regctl, args: overHTTP()},
	{shown: "regctl image copy --referrers", command: regctl, args: overHTTP("--referrers")},
	{shown: "regctl image copy --digest-tags", command: regctl, args: overHTTP("--digest-tags")},
	{shown: "regctl image copy --digest-tags --referrers", command: regctl, args: overHTTP("--digest-tags", "--referrers")},
}

// tagged names the image by its tag.
func tagged(words ...string) func(from, to string) []string {
	return func(from, to string) []string { return slices.Concat(words, []string{from + ":v1", to + ":v1"}) }
}

// whole names the repository.
func whole(words ...string) func(from, to string) []string {
	return func(from, to string) []string { return slices.Concat(words, []string{from, to}) }
}

// overHTTP are the arguments of regctl, which has to be told that both registries have no TLS.
func overHTTP(words ...string) func(from, to string) []string {
	return func(from, to string) []string {
		args := slices.Concat([]string{"image", "copy"}, words)
		for _, repo := range []string{from, to} {
			host, _, _ := strings.Cut(repo, "/")
			args = append(args, "--host", "reg="+host+",tls=disabled")
		}
		return tagged(args...)(from, to)
	}
}

// Answers of a Resolver at a copy of an image with a pass and a newer failure.
const (
	answerFound   = "found"    // the failure
	answerBlocked = "blocked"  // an error, or a problem with something else
	answerNothing = "nothing"  // no evidence at all
	answerPass    = "old pass" // the wrong one
)

// "A failed listing is an error, never an empty set": a copy of an image shows the newest failure, or that something is
// missing, or nothing. It never shows the older pass, unless the command left an older copy as it was.
func TestCopies(t *testing.T) {
	s := sheet{}
	for _, from := range kinds[:2] {
		for _, to := range kinds[:2] {
			t.Run(from.name+" to "+to.name, func(t *testing.T) {
				for _, form := range copiedForms {
					s.fill(t, newBench(t, from.start(t), 0), to.start(t), form)
				}
			})
		}
	}
	text, err := os.ReadFile("../../attest/doc.go")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", s)
	if diff := cmp.Diff(copiesIn(string(text)), s.String()); diff != "" {
		t.Errorf("the documentation of attest has another table (-documentation +seen):\n%s", diff)
	}
}

var (
	copiedForms = []intoto.Encoding{intoto.EncodingEnvelope, intoto.EncodingBundle, intoto.EncodingStatement}
	copiedTest  = intoto.Test{Name: "scan", PredicateType: intoto.TestResultType}
)

// columns are those of the table: the forms of the failure, and two more.
var columns = []string{
	columnOf(intoto.EncodingEnvelope), columnOf(intoto.EncodingBundle), columnOf(intoto.EncodingStatement), columnProvenance, columnAgain,
}

const (
	columnProvenance = "provenance" // whether the one of the record is copied, as Chains attaches it
	columnAgain      = "again"      // the answer at a second copy, if the first was made before the failure
)

func columnOf(form intoto.Encoding) string {
	if form == intoto.EncodingEnvelope {
		return "envelope"
	}
	return string(form)
}

// A sheet holds what was seen, by command and column.
type sheet map[[2]string]set

func (s sheet) note(c copier, column, seen string) {
	key := [2]string{c.shown, column}
	if s[key] == nil {
		s[key] = set{}
	}
	s[key][seen] = true
}

// String returns the table. A cell names all that was seen between the registries.
func (s sheet) String() string {
	var b strings.Builder
	line := func(first string, cell func(column string) string) {
		text := fmt.Sprintf("%-45s", first)
		for _, column := range columns {
			text += fmt.Sprintf("%-11s", cell(column))
		}
		b.WriteString(strings.TrimSpace(text) + "\n")
	}
	line("command", func(column string) string { return column })
	for _, c := range copiers {
		line(c.shown, func(column string) string { return strings.Join(s[[2]string{c.shown, column}].names(), " or ") })
	}
	return b.String()
}

// copiesIn returns the table in the documentation.
func copiesIn(doc string) string {
	_, section, _ := strings.Cut(doc, "// # Copies\n")
	section, _, _ = strings.Cut(section, "// # ")
	var b strings.Builder
	for line := range strings.Lines(section) {
		if text, ok := strings.CutPrefix(line, "//\t"); ok {
			b.WriteString(text)
		}
	}
	return b.String()
}

// fill has each command copy an image with a pass and a newer failure in a form: to a new repository, and to one that has
// a copy of the image with the pass alone.
func (s sheet) fill(t *testing.T, b bench, to *server, form intoto.Encoding) {
	image := b.push("v1")
	b.says(image, intoto.EncodingEnvelope, intoto.Passed, finished)
	target := func(when string, i int) name.Repository { return to.repository(t, fmt.Sprintf("%s/%d", when, i)) }
	for i, c := range copiers {
		if err := c.copy(t, image, target("again", i)); err != nil {
			t.Fatalf("%s: %v", c.shown, err)
		}
	}
	failure := b.says(image, form, intoto.Failed, finished.Add(time.Hour))
	if err := b.append(failure.Repository.Digest(failure.Digest.String()), "provenance"); err != nil {
		t.Fatal(err)
	}
	for i, c := range copiers {
		if err := c.copy(t, image, target("once", i)); err != nil {
			t.Fatalf("%s: %v", c.shown, err)
		}
		once, reason := b.answer(target("once", i).Digest(image.DigestStr()), failure)
		t.Logf("%s, %s: %s (%v)", c.shown, columnOf(form), once, reason)
		if once == answerPass {
			t.Errorf("%s, %s: the older statement counts", c.shown, columnOf(form))
		}
		s.note(c, columnOf(form), once)
		s.note(c, columnProvenance, b.carried(target("once", i), failure))

		refused := c.copy(t, image, target("again", i))
		again, reason := b.answer(target("again", i).Digest(image.DigestStr()), failure)
		if again != once {
			t.Logf("%s, %s, again: %s (%v; %v)", c.shown, columnOf(form), again, refused, reason)
		}
		if !c.keeps && (again == answerPass || refused != nil) {
			t.Errorf("%s, %s, again: %s, %v", c.shown, columnOf(form), again, refused)
		}
		s.again(c, once, again)
	}
}

// again notes what a second copy leads to. That it leads to the old pass between some registries is all that counts.
func (s sheet) again(c copier, once, again string) {
	key := [2]string{c.shown, columnAgain}
	switch {
	case again != once:
		s[key] = set{again: true}
	case s[key] == nil:
		s[key] = set{"the same": true}
	}
}

func (c copier) copy(t *testing.T, image name.Digest, to name.Repository) error {
	t.Helper()
	return c.run(t, t.TempDir(), c.args(image.Context().Name(), to.Name())...)
}

// says writes what the test came to.
func (b bench) says(image name.Digest, form intoto.Encoding, result intoto.Result, at time.Time) attest.Record {
	b.Helper()
	r, err := attest.NewWriter(b.signer, attest.Options{Access: attest.Access{Transport: b.transport}, Encoding: form}).
		Write(b.Context(), image, copiedTest.Name, intoto.TestResult{Result: result, Timestamp: at})
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// answer asks for the newest, and returns why it does not count. An unsigned statement is found if it is the
// newest: a provenance can vouch for it.
func (b bench) answer(image name.Digest, failure attest.Record) (string, error) {
	e, err := attest.NewResolver(b.verifier, attest.Options{Access: attest.Access{Transport: b.transport}}).Newest(b.Context(), image, copiedTest)
	switch {
	case errors.Is(err, attest.ErrNotFound):
		return answerNothing, nil
	case err == nil && (e.Manifest == failure.Digest || e.Result == intoto.Failed):
		return answerFound, e.Problem
	case err != nil || e.Problem != nil:
		return answerBlocked, errors.Join(err, e.Problem)
	}
	return answerPass, nil
}

// carried reports whether a repository has what is attached to a record under cosign's tag.
func (b bench) carried(repo name.Repository, record attest.Record) string {
	b.Helper()
	_, err := remote.Head(viewOf(repo, record.Digest), remote.WithTransport(b.transport), remote.WithContext(b.Context()))
	if missing := (*transport.Error)(nil); errors.As(err, &missing) && missing.StatusCode == http.StatusNotFound {
		return "no"
	}
	if err != nil {
		b.Fatal(err)
	}
	return "yes"
}

// viewOf returns cosign's tag of a manifest.
func viewOf(repo name.Repository, of v1.Hash) name.Tag { return repo.Tag("sha256-" + of.Hex + ".att") }

// cosign attest keeps the names of what .att does not show. With --replace it drops those of the manifest, whatever it
// replaces, and keeps those in layers of other types, so that a copy of the tag alone blocks. Each write of ours, or Repair,
// enters them again.
func TestCosignAttestAndNamesNotShown(t *testing.T) {
	for _, tt := range []struct {
		flags []string
		keeps bool // the annotation of the manifest
	}{{nil, true}, {[]string{"--replace"}, false}} {
		t.Run(fmt.Sprint(tt.flags), func(t *testing.T) {
			b := newBench(t, kinds[0].start(t), 0)
			image := b.push("v1")
			b.says(image, intoto.EncodingEnvelope, intoto.Passed, finished)
			failure := b.says(image, intoto.EncodingBundle, intoto.Failed, finished.Add(time.Hour))
			names := failure.Digest.String()
			if got := b.notShown(image); got != names {
				t.Fatalf("before, .att names %q", got)
			}
			b.attests(image, tt.flags...)
			if got := b.notShown(image); (got == names) != tt.keeps {
				t.Errorf("after cosign attest %v, .att names %q", tt.flags, got)
			}
			to := b.server.repository(t, "team/copy")
			if err := stock.run(t, t.TempDir(), "copy", image.Context().Name()+":v1", to.Name()+":v1"); err != nil {
				t.Fatal(err)
			}
			if got, reason := b.answer(to.Digest(image.DigestStr()), failure); got != answerBlocked {
				t.Errorf("a copy after cosign attest %v: %s (%v)", tt.flags, got, reason)
			}
			w := attest.NewWriter(b.signer, attest.Options{Access: attest.Access{Transport: b.transport}})
			if err := w.Repair(t.Context(), image); err != nil {
				t.Fatal(err)
			}
			if got := b.notShown(image); got != names {
				t.Errorf("after Repair, .att names %q", got)
			}
		})
	}
}

// attests has cosign attest something of another type.
func (b bench) attests(image name.Digest, flags ...string) {
	b.Helper()
	dir := b.TempDir()
	write(b.T, dir, "cosign.key", b.private)
	write(b.T, dir, "predicate.json", []byte("{}"))
	args := []string{"attest", "--key", "cosign.key", "--type", "https://example.com/review/v1",
		"--predicate", "predicate.json", "--tlog-upload=false", "--yes"}
	if err := stock.run(b.T, dir, slices.Concat(args, flags, []string{image.Name()})...); err != nil {
		b.Fatal(err)
	}
}

// notShown returns what the .att tag of image names and does not show.
func (b bench) notShown(image name.Digest) string {
	b.Helper()
	digest, err := v1.NewHash(image.DigestStr())
	if err != nil {
		b.Fatal(err)
	}
	d, err := remote.Get(viewOf(image.Context(), digest), remote.WithTransport(b.transport), remote.WithContext(b.Context()))
	if err != nil {
		b.Fatal(err)
	}
	var m v1.Manifest
	if err := json.Unmarshal(d.Manifest, &m); err != nil {
		b.Fatal(err)
	}
	return m.Annotations[attest.AnnotationNotShown]
}
