package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/internal/pattern"
)

// noticeDays is how many days before its end a waiver is warned about.
const noticeDays = 14

// everyImage in Waiver.Images stands for every image.
const everyImage = "*"

// A Waiver lets images pass although one thing speaks against them, from an instant until another. What it meets moves
// from the violations and the warnings of a report to [Report.Waived], and stays visible there.
//
// It names one of Task, Finding and Statement. It is for the images that Images or Components name, and names at least
// one.
type Waiver struct {
	// Task waives everything about a required task: that it did not run, that it failed, the findings of its scan, and
	// that its evidence does not count, because it is not verified or for another reason. Of alternatives that are all
	// missing it is enough if one is waived. An alternative that ran and failed needs a waiver of its own. A task that
	// will be required later still warns.
	Task string `json:"task,omitempty"`

	// Finding waives a finding of scans, by its id or one of [intoto.FindingAliases], and Package only in one package:
	// by its name, with or without the group of Maven (org.apache.logging.log4j:log4j-core, log4j-core), or by its
	// package URL, which may leave out the version and the qualifiers. With Package it is for no finding that names
	// several packages. It never waives evidence that does not count.
	Finding string `json:"finding,omitempty"`
	Package string `json:"package,omitempty"`

	// Statement is the SHA-256 digest of a statement that [Policy.Gate] passes over as if it were not there, whatever
	// it says. It is for a statement that blocks and can be neither understood nor deleted, see
	// [attest.Options.UnsafeIgnoreStatements]. To pass over the newest failure brings an older pass back.
	Statement v1.Hash `json:"statement,omitzero"`

	// Images are images by digest ("sha256:..."), by repository ("quay.io/shop/api"), or by both
	// ("quay.io/shop/api@sha256:..."). A repository is a pattern by the rules of [provenance.Trust]: a * behind the host
	// stands for any text, and "*" alone for every image. An image that an index lists has a digest of its own.
	Images []string `json:"images,omitempty"`

	// Components are names that the caller gives to images, see [Input.Component].
	Components []string `json:"components,omitempty"`

	From  time.Time `json:"from,omitzero"` // in force from this instant; zero: from ever
	Until time.Time `json:"until"`         // in force until before this instant; required
	Who   string    `json:"who"`           // who answers for it; required
	Why   string    `json:"why"`           // for people; required

	// Place is where the policy has it. [Parse] sets it: "waivers[0], line 12". Reports tell its index if it is empty.
	Place string `json:"place,omitempty"`
}

// String says who waives until when, why, and where the policy has it, in one line.
func (w Waiver) String() string {
	until := w.Until.UTC().Format(time.RFC3339)
	return fmt.Sprintf("waived by %s until %s: %s (%s)", shown(w.Who), until, shown(w.Why), shown(w.Place))
}

// term is what is waived, for programs.
func (w Waiver) term() Term {
	if w.Statement != (v1.Hash{}) {
		return Term{w.Statement.String()}
	}
	return Term{cmp.Or(w.Task, w.Finding)}
}

// subject is what is waived, for people.
func (w Waiver) subject() string {
	switch what := shown(w.term()[0]); {
	case w.Task != "":
		return "task " + what
	case w.Finding == "":
		return "statement " + what
	case w.Package == "":
		return "finding " + what
	default:
		return "finding " + what + " in " + shown(w.Package)
	}
}

// isFor reports whether a waiver is for the image.
func (w Waiver) isFor(in Input) bool {
	named := func(images string) bool { return namesImage(images, in.Image) }
	return in.Component != "" && slices.Contains(w.Components, in.Component) || slices.ContainsFunc(w.Images, named)
}

// namesImage reports whether one of Waiver.Images names the image.
func namesImage(images string, image name.Digest) bool {
	repository, digest, _ := strings.Cut(images, "@")
	if strings.HasPrefix(images, "sha256:") {
		repository, digest = everyImage, images
	}
	if rest, ok := strings.CutPrefix(repository, "docker.io/"); ok {
		repository = name.DefaultRegistry + "/" + rest
	}
	return (digest == "" || digest == image.DigestStr()) && pattern.Matches(repository, image.Context().Name())
}

// isIn reports whether a waiver of a finding is for the package. One that names a package is for no finding in several.
func (w Waiver) isIn(a about) bool {
	if w.Package == "" || a.several {
		return w.Package == ""
	}
	if w.Package == a.purl {
		return true
	}
	found := parsePURL(a.purl)
	if strings.HasPrefix(w.Package, purlScheme) {
		return parsePURL(w.Package).covers(found)
	}
	for _, name := range []string{a.pkg, found.coordinates()} {
		if w.Package == name || w.Package == artifact(name) {
			return true
		}
	}
	return false
}

// compareWaivers orders waivers by how long they hold, longest first, and equal ones by all else, so that the order of
// a policy does not matter.
func compareWaivers(a, b *waiver) int {
	return cmp.Or(
		b.Until.Compare(a.Until), a.From.Compare(b.From),
		slices.Compare(a.term(), b.term()), cmp.Compare(a.Package, b.Package),
		cmp.Compare(a.Who, b.Who), cmp.Compare(a.Why, b.Why), slices.Compare(a.Images, b.Images),
		slices.Compare(a.Components, b.Components), cmp.Compare(a.Place, b.Place),
	)
}

// A waiver is one that is for the image, with what is known of it while the image is judged.
type waiver struct {
	Waiver
	over      bool   // it has ended
	met       bool   // there is what it is for
	elsewhere string // a package that has the finding, and is not that of the waiver
}

// waivers are those for one image that have begun, by what they name.
type waivers struct {
	all                            []*waiver
	byTask, byFinding, byStatement map[string][]*waiver
}

// waiversFor returns the waivers of a policy that are for the image.
func (p Policy) waiversFor(in Input) waivers {
	ws := waivers{
		byTask: map[string][]*waiver{}, byFinding: map[string][]*waiver{}, byStatement: map[string][]*waiver{},
	}
	for i, w := range p.Waivers {
		if !w.isFor(in) || in.Now.Before(w.From) {
			continue
		}
		w.From, w.Until, w.Place = w.From.UTC(), w.Until.UTC(), cmp.Or(w.Place, fmt.Sprintf("waivers[%d]", i))
		one := &waiver{Waiver: w, over: !in.Now.Before(w.Until)}
		ws.all = append(ws.all, one)
		index := ws.byStatement
		switch {
		case w.Task != "":
			index = ws.byTask
		case w.Finding != "":
			index = ws.byFinding
		}
		index[w.term()[0]] = append(index[w.term()[0]], one)
	}
	slices.SortFunc(ws.all, compareWaivers)
	return ws
}

// ignored returns the statements that are passed over at the image.
func (ws waivers) ignored() []v1.Hash {
	var statements []v1.Hash
	for _, w := range ws.all {
		if w.Statement != (v1.Hash{}) && !w.over {
			statements = append(statements, w.Statement)
		}
	}
	return statements
}

// meet says that there is what these are for. It returns the one that is in force longest, nil if none is.
func meet(all []*waiver) *waiver {
	var longest *waiver
	for _, w := range all {
		w.met = true
		if !w.over && (longest == nil || compareWaivers(w, longest) < 0) {
			longest = w
		}
	}
	return longest
}

// task returns the waiver of one of the tasks, nil if there is none.
func (ws waivers) task(names ...string) *waiver {
	var all []*waiver
	for _, name := range names {
		all = append(all, ws.byTask[name]...)
	}
	return meet(all)
}

// finding returns the waiver of a finding, nil if there is none.
func (ws waivers) finding(id string, a about) *waiver {
	var all []*waiver
	for _, id := range append([]string{id}, a.aliases...) {
		for _, w := range ws.byFinding[id] {
			switch where := cmp.Or(a.pkg, a.purl); {
			case w.isIn(a):
				all = append(all, w)
			case w.elsewhere == "" || where < w.elsewhere:
				w.elsewhere = where
			}
		}
	}
	return meet(all)
}

// statements says of each waiver of a statement whether that is there: passed over, or at the image after its end.
func (ws waivers) statements(in Input) verdict {
	var v verdict
	if len(ws.byStatement) == 0 {
		return v
	}
	for _, e := range in.Evidence {
		if e.Image.DigestStr() != in.Image.DigestStr() {
			continue
		}
		for _, w := range ws.byStatement[e.Digest().String()] {
			w.met = w.met || w.over
		}
		for _, digest := range e.Ignored {
			w := meet(ws.byStatement[digest.String()])
			if w == nil {
				continue
			}
			v.waive(w, Note{
				Msg:      "statement " + digest.String() + " is passed over",
				Metadata: Metadata{Code: CodeIgnored, Term: w.term()},
			})
		}
	}
	return v
}

// notes warns of waivers that meet nothing, that end soon, and that have ended.
func (ws waivers) notes(now time.Time, judged verdict) verdict {
	blind := judged.blind()
	var v verdict
	for _, w := range ws.all {
		n := Note{Metadata: Metadata{Term: w.term()}, Waiver: &w.Waiver}
		until, what := w.Until.Format(time.RFC3339), ""
		switch notice := w.Until.AddDate(0, 0, -noticeDays); {
		case w.over && w.met:
			n.Metadata.Code, what = CodeWaiverExpired, "ended on "+until+", so what it waived counts again"
		case w.over:
			n.Metadata.Code, what = CodeWaiverUnused, "ended on "+until+" and meets nothing; take it out"
		case !w.met && w.elsewhere != "":
			n.Metadata.Code, what = CodeWaiverUnused, "meets nothing: the finding is in package "+shown(w.elsewhere)
		case !w.met && w.Finding != "" && blind:
			n.Metadata.Code, what = CodeWaiverUnused, "meets nothing that is known: a test is missing, could not tell, or its evidence does not count"
		case !w.met:
			n.Metadata.Code, what = CodeWaiverUnused, "meets nothing; take it out, or correct what it names"
		case !now.Before(notice):
			n.Metadata.Code, what = CodeWaiverExpiring, "ends on "+until+"; from then on what it waives counts again"
			n.Metadata.EffectiveOn = &w.Until
		default:
			continue
		}
		n.Msg = fmt.Sprintf("the waiver of %s %s (%s)", w.subject(), what, shown(w.Place))
		v.warn(n)
	}
	return v
}

// blind reports whether a test is missing, could not tell, or has evidence that does not count. Then it is not known which
// findings there are.
func (v verdict) blind() bool {
	isBlind := func(n Note) bool {
		c := n.Metadata.Code
		return c == CodeMissing || c == CodeMissingInBuild || c == CodeErrored ||
			c != CodeIgnored && strings.HasPrefix(string(c), "evidence.")
	}
	return slices.ContainsFunc(slices.Concat(v.violations, v.warnings, v.waived), isBlind)
}
