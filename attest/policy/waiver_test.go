package policy

import (
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
)

// month is longer than waivers are warned about.
const month = 30 * 24 * time.Hour

// waiverOf is one for every image and for a month, with what it is to have more.
func waiverOf(w Waiver) Waiver {
	if len(w.Images)+len(w.Components) == 0 {
		w.Images = []string{everyImage}
	}
	if w.Until.IsZero() {
		w.Until = noon.Add(month)
	}
	w.Who, w.Why = "ada", "no time"
	return w
}

func waiving(p Policy, waivers ...Waiver) Policy {
	for _, w := range waivers {
		p.Waivers = append(p.Waivers, waiverOf(w))
	}
	return p
}

// Each row shows a sentence about waivers.
func TestWaiverSentences(t *testing.T) {
	const min = time.Minute
	type list = []attest.Evidence
	of := func(task string) Waiver { return Waiver{Task: task} }
	cve := func(id string) Waiver { return Waiver{Finding: id} }
	critical := finding("CVE-1", "critical", intoto.FindingFix, "2.0")
	scan := scanned("scan", -min, []intoto.Finding{critical, finding("CVE-2", "critical")})
	unverified := problem(&attest.Problem{Kind: attest.Unverified, Err: errBroken})
	anyTest := attest.Evidence{Image: image, Problem: &attest.CandidateError{Err: errBroken}}
	strict := func(p Policy) Policy {
		p.Strict = true
		return p
	}
	later := Policy{Required: []Entry{since(time.Time{}, "unit"), since(noon.Add(1), "unit", "scan")}}
	unit := tested("unit", intoto.Passed, 0)
	for _, tt := range []struct {
		sentence string
		policy   Policy
		evidence list
		builds   []attest.Build
		want     []string
	}{
		{"What is not waived denies.", requires("scan"), nil, nil, []string{"violation required.missing scan"}},
		{"A waiver of a task waives that it did not run.", waiving(requires("scan"), of("scan")), nil, nil,
			[]string{"waived required.missing scan"}},
		{"It waives that the build did not run it.", waiving(inBuild("scan"), of("scan")), nil, nil,
			[]string{"waived required_in_build.missing scan"}},
		{"It waives that it failed.", waiving(requires("scan"), of("scan")), list{tested("scan", intoto.Failed, 0)},
			nil, []string{"waived test.failed scan"}},
		{"It waives that it failed in the build.", waiving(inBuild("scan"), of("scan")), nil,
			[]attest.Build{built(0, task("scan", 0, "TEST_OUTPUT", testFailed))},
			[]string{"waived test.failed scan"}},
		{"It waives what it warns of.", waiving(requires("scan"), of("scan")), list{tested("scan", intoto.Warned, 0)},
			nil, []string{"waived test.warned scan"}},
		{"It waives the findings of its scan.", waiving(requires("scan"), of("scan")), list{scan}, nil,
			[]string{"waived vulnerability.denied CVE-1", "waived vulnerability.denied CVE-2"}},
		{"It waives that nobody vouches for its evidence.", waiving(requires("scan"), of("scan")),
			list{tested("scan", intoto.Passed, 0, unverified)}, nil,
			[]string{"waived evidence.unverified scan"}},
		{"It does not waive what may be evidence of any test.", waiving(requires("scan"), of("scan")), list{anyTest},
			nil, []string{"violation evidence.unreadable", "waived required.missing scan"}},
		{"It waives nothing about another task.", waiving(requires("scan", "lint"), of("scan")), nil, nil,
			[]string{"violation required.missing lint", "waived required.missing scan"}},
		{"A task that passed needs none.", waiving(requires("scan"), of("scan")),
			list{tested("scan", intoto.Passed, 0)}, nil,
			[]string{"warning waiver.unused scan", "success test.passed scan"}},
		{"Of alternatives that are all missing it is enough if one is waived.",
			waiving(requires("lint|vet"), of("vet")), nil, nil,
			[]string{"waived required.missing lint|vet"}},
		{"An alternative that ran and failed needs a waiver of its own.", waiving(requires("lint|vet"), of("vet")),
			list{tested("lint", intoto.Failed, 0)}, nil,
			[]string{"violation test.failed lint", "warning waiver.unused vet"}},
		{"An alternative that failed and is waived does not count as one that passed.",
			waiving(requires("lint|vet"), of("vet")),
			list{tested("lint", intoto.Failed, 0), tested("vet", intoto.Failed, 0)}, nil,
			[]string{"violation test.failed lint", "waived test.failed vet"}},
		{"Beside an alternative that passed it is only told.", waiving(requires("lint|vet"), of("vet")),
			list{tested("lint", intoto.Passed, 0), tested("vet", intoto.Failed, 0)}, nil,
			[]string{"waived test.failed vet", "success test.passed lint"}},
		{"With strict it is enough for the alternative that failed.", waiving(strict(requires("lint|vet")), of("vet")),
			list{tested("lint", intoto.Passed, 0), tested("vet", intoto.Failed, 0)}, nil,
			[]string{"waived test.failed vet", "success test.passed lint"}},
		{"A task that will be required later still warns.", waiving(later, of("scan")), list{unit}, nil,
			[]string{"warning required.missing scan", "warning waiver.unused scan", "success test.passed unit"}},
		{"A test whose name looks alike stays a warning.", waiving(requires("scan"), of("scan")),
			list{tested("s\u0441an", intoto.Passed, 0)}, nil,
			[]string{"warning required.alike scan", "waived required.missing scan"}},

		{"A waiver of a finding waives that alone.", waiving(requires("scan"), cve("CVE-1")), list{scan}, nil,
			[]string{"violation vulnerability.denied CVE-2", "waived vulnerability.denied CVE-1"}},
		{"With all findings waived the scan has passed.", waiving(requires("scan"), cve("CVE-1"), cve("CVE-2")),
			list{scan}, nil,
			[]string{"waived vulnerability.denied CVE-1", "waived vulnerability.denied CVE-2",
				"success test.passed scan"}},
		{"It waives a finding that only warns.", waiving(requires("scan"), cve("CVE-1")),
			list{scanned("scan", 0, []intoto.Finding{finding("CVE-1", "high", intoto.FindingFix, "")})}, nil,
			[]string{"waived vulnerability.warned CVE-1", "success test.passed scan"}},
		{"It meets nothing if the policy allows the finding anyway.", waiving(requires("scan"), cve("CVE-1")),
			list{scanned("scan", 0, []intoto.Finding{finding("CVE-1", "low")})}, nil,
			[]string{"warning waiver.unused CVE-1", "success test.passed scan"}},
		{"It never waives evidence that nobody vouches for.", waiving(requires("scan"), cve("CVE-1"), cve("CVE-2")),
			list{scanned("scan", -min, []intoto.Finding{critical}, unverified)}, nil,
			[]string{"violation evidence.unverified scan", "warning waiver.unused CVE-1",
				"warning waiver.unused CVE-2"}},
		{"It never waives that a scan is missing.", waiving(requires("scan"), cve("CVE-1")), nil, nil,
			[]string{"violation required.missing scan", "warning waiver.unused CVE-1"}},
		{"It waives no counts.", waiving(inBuild("scan"), cve("CVE-1")), nil,
			[]attest.Build{built(0, task("scan", 0, "SCAN_OUTPUT", `{"vulnerabilities":{"critical":1}}`))},
			[]string{"violation vulnerability.denied scan", "warning waiver.unused CVE-1"}},

		{"Notes of a waived task and a waived finding are told once.",
			waiving(requires("scan"), cve("CVE-1"), of("scan")), list{scan}, nil,
			[]string{"waived vulnerability.denied CVE-1", "waived vulnerability.denied CVE-2"}},
	} {
		got := judged(t, tt.policy, tt.evidence, tt.builds...)
		if diff := cmp.Diff(tt.want, brief(got)); diff != "" {
			t.Errorf("%s %s", tt.sentence, diff)
		}
		denied := strings.HasPrefix(fmt.Sprint(append(tt.want, "")[0]), "violation")
		if got.Success == denied {
			t.Errorf("%s success is %t", tt.sentence, got.Success)
		}
		for _, n := range got.Waived {
			if w := n.Waiver; w == nil || w.Who != "ada" || w.Why != "no time" || !w.Until.Equal(noon.Add(month)) ||
				!strings.HasPrefix(w.Place, "waivers[") {
				t.Errorf("%s waived by %+v", tt.sentence, w)
			}
		}
	}
}

// A waiver is in force from an instant until before another. It is warned about 14 days before its end, and after it.
func TestWaiverTimes(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name        string
		from, until time.Duration // from noon on; from 0 is from ever
		missing     []string      // what is said if the task is missing
		passed      []string      // what is said besides if it passed
	}{
		{"for a month", 0, 30 * day, []string{"waived required.missing scan"}, []string{"warning waiver.unused scan"}},
		{"since now", -1, 30 * day, []string{"waived required.missing scan"}, []string{"warning waiver.unused scan"}},
		{"from soon on", 1, 30 * day, []string{"violation required.missing scan"}, nil},
		{"until now", 0, 0, []string{"violation required.missing scan", "warning waiver.expired scan"}, []string{"warning waiver.unused scan"}},
		{"until soon", 0, 1, []string{"warning waiver.expiring scan", "waived required.missing scan"}, []string{"warning waiver.unused scan"}},
		{"for 14 days", 0, 14 * day, []string{"warning waiver.expiring scan", "waived required.missing scan"}, []string{"warning waiver.unused scan"}},
		{"for a little more", 0, 14*day + 1, []string{"waived required.missing scan"}, []string{"warning waiver.unused scan"}},
		{"until long ago", -60 * day, -30 * day, []string{"violation required.missing scan", "warning waiver.expired scan"}, []string{"warning waiver.unused scan"}},
	} {
		w := Waiver{Task: "scan", Until: noon.Add(tt.until)}
		if tt.from != 0 {
			w.From = noon.Add(tt.from)
		}
		p := waiving(requires("scan"), w)
		missing := judged(t, p, nil)
		if diff := cmp.Diff(tt.missing, brief(missing)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		passed := judged(t, p, []attest.Evidence{tested("scan", intoto.Passed, 0)})
		if diff := cmp.Diff(append(tt.passed, "success test.passed scan"), brief(passed)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		for _, n := range missing.Warnings {
			ends := n.Metadata.EffectiveOn
			if n.Metadata.Code == CodeWaiverExpiring && (ends == nil || !ends.Equal(w.Until)) {
				t.Errorf("%s: it ends on %v", tt.name, ends)
			}
		}
	}
	p := waiving(requires("scan"), Waiver{Task: "scan", From: noon, Until: noon.Add(month)})
	if r := judged(t, p, nil); !r.Success {
		t.Errorf("a waiver from now on does not hold: %s", lines(r))
	}
}

// A waiver is for the images that it names: by digest, by repository, by both, or by component. For others it is not
// told of.
func TestWaiverImages(t *testing.T) {
	digest, repository := image.DigestStr(), "registry.example/team/app"
	for _, tt := range []struct {
		name       string
		images     []string
		components []string
		image      name.Digest
		component  string
		want       bool
	}{
		{"every image", []string{"*"}, nil, image, "", true},
		{"by digest", []string{digest}, nil, image, "", true},
		{"by digest, under another name", []string{digest}, nil, mirrored, "", true},
		{"by another digest", []string{other.DigestStr()}, nil, image, "", false},
		{"by repository", []string{repository}, nil, other, "", true},
		{"by repository, under another name", []string{repository}, nil, mirrored, "", false},
		{"by a part of a repository", []string{"registry.example/team"}, nil, image, "", false},
		{"by pattern", []string{"registry.example/team/*"}, nil, image, "", true},
		{"by pattern with slashes", []string{"registry.example/*"}, nil, image, "", true},
		{"by another pattern", []string{"registry.example/teams/*"}, nil, image, "", false},
		{"by both", []string{repository + "@" + digest}, nil, image, "", true},
		{"by both, of which the digest is another", []string{repository + "@" + digest}, nil, other, "", false},
		{"by both, of which the repository is another", []string{repository + "@" + digest}, nil, mirrored, "", false},
		{"by pattern and digest", []string{"registry.example/*@" + digest}, nil, image, "", true},
		{"one of several", []string{other.DigestStr(), digest}, nil, image, "", true},
		{"by component", nil, []string{"api", "app"}, image, "app", true},
		{"by another component", nil, []string{"api"}, image, "app", false},
		{"by component, of which the caller says nothing", nil, []string{"app"}, image, "", false},
		{"a component is no image", []string{repository}, []string{"app"}, image, "api", true},
		{"an image is no component", []string{other.DigestStr()}, []string{"app"}, image, "app", true},
		{"of Docker Hub", []string{"docker.io/library/*"}, nil, imageOf("nginx@" + digest), "", true},
		{"of Docker Hub, by its other name", []string{"index.docker.io/library/nginx"}, nil,
			imageOf("docker.io/library/nginx@" + digest), "", true},
		{"of a host with a port", []string{"localhost:5000/*"}, nil, imageOf("localhost:5000/app@" + digest), "", true},
	} {
		p := waiving(requires("scan"), Waiver{Task: "scan", Images: tt.images, Components: tt.components})
		r, err := p.Judge(Input{Image: tt.image, Component: tt.component, Now: noon})
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		want := []string{"violation required.missing scan"}
		if tt.want {
			want = []string{"waived required.missing scan"}
		}
		if diff := cmp.Diff(want, brief(r)); diff != "" || r.Component != tt.component {
			t.Errorf("%s: component %q, %s", tt.name, r.Component, diff)
		}
	}
}

// A finding is waived by its id or another of its ids, in every package or in one, by any name that scanners give it.
func TestWaiverFindings(t *testing.T) {
	const (
		trivy = "org.apache.logging.log4j:log4j-core"
		maven = "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"
		deb   = "pkg:deb/debian/openssl@1.1?arch=amd64&distro=debian-12"
		npm   = "pkg:npm/%40scope/name@1.0#lib"
	)
	for _, tt := range []struct {
		finding, pkg    string // of the waiver
		found, purl, id string
		aliases         any
		want            bool
	}{
		{"CVE-1", "", "openssl", deb, "CVE-1", nil, true},
		{"CVE-2", "", "openssl", deb, "CVE-1", nil, false},
		{"CVE-1", "", "", "", "GHSA-1", []any{"CVE-1", 7}, true},
		{"CVE-1", "", "", "", "GHSA-1", []string{"CVE-1"}, true},
		{"GHSA-1", "", "", "", "GHSA-1", []string{"CVE-1"}, true},
		{"CVE-1", "openssl", "openssl", deb, "CVE-1", nil, true},
		{"CVE-1", "openssl", "", "", "CVE-1", nil, false},
		{"CVE-1", "curl", "openssl", deb, "CVE-1", nil, false},

		// Names of Maven: Trivy writes the group, Grype leaves it to the package URL.
		{"CVE-1", "log4j-core", trivy, maven, "CVE-1", nil, true},
		{"CVE-1", trivy, trivy, maven, "CVE-1", nil, true},
		{"CVE-1", trivy, "log4j-core", maven, "CVE-1", nil, true},
		{"CVE-1", "log4j-core", "log4j-core", maven, "CVE-1", nil, true},
		{"CVE-1", "log4j-core", "", maven, "CVE-1", nil, true},
		{"CVE-1", "log4j-core", trivy, "", "CVE-1", nil, true},
		{"CVE-1", trivy, "log4j-core", "", "CVE-1", nil, false},
		{"CVE-1", "log4j", trivy, maven, "CVE-1", nil, false},
		{"CVE-1", "log4j-api", trivy, maven, "CVE-1", nil, false},
		{"CVE-1", "org.apache.logging.log4j", trivy, maven, "CVE-1", nil, false},
		{"CVE-1", "other.group:log4j-core", trivy, maven, "CVE-1", nil, false},

		// A scope of npm and a path of Go are part of the name.
		{"CVE-1", "node", "@types/node", "pkg:npm/%40types/node@1", "CVE-1", nil, false},
		{"CVE-1", "errors", "github.com/pkg/errors", "pkg:golang/github.com/pkg/errors@v1", "CVE-1", nil, false},
		{"CVE-1", "b:c", "a:b:c", "", "CVE-1", nil, false},
		{"CVE-1", "a", ":a", "", "CVE-1", nil, false},

		// Package URLs.
		{"CVE-1", maven, trivy, maven, "CVE-1", nil, true},
		{"CVE-1", "pkg:maven/org.apache.logging.log4j/log4j-core", trivy, maven, "CVE-1", nil, true},
		{"CVE-1", "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.2", trivy, maven, "CVE-1", nil, false},
		{"CVE-1", "pkg:maven/log4j-core", trivy, maven, "CVE-1", nil, false},
		{"CVE-1", deb, "openssl", deb, "CVE-1", nil, true},
		{"CVE-1", "pkg:deb/debian/openssl", "openssl", deb, "CVE-1", nil, true},
		{"CVE-1", "pkg:deb/debian/openssl@1.1", "openssl", deb, "CVE-1", nil, true},
		{"CVE-1", "pkg:DEB/debian/openssl", "openssl", deb, "CVE-1", nil, true},
		{"CVE-1", "pkg:deb/debian/openssl?arch=arm64", "openssl", deb, "CVE-1", nil, false},
		{"CVE-1", "pkg:deb/debian/openssl?arch=amd64&distro=debian-12", "openssl", deb, "CVE-1", nil, true},
		{"CVE-1", "pkg:deb/ubuntu/openssl", "openssl", deb, "CVE-1", nil, false},
		{"CVE-1", "pkg:rpm/debian/openssl", "openssl", deb, "CVE-1", nil, false},
		{"CVE-1", "pkg:deb/debian/open", "openssl", deb, "CVE-1", nil, false},
		{"CVE-1", "pkg:deb/debian/openssl@1.1%2Bdfsg", "openssl", "pkg:deb/debian/openssl@1.1+dfsg", "CVE-1", nil,
			true},
		{"CVE-1", "pkg:npm/@scope/name", "@scope/name", npm, "CVE-1", nil, true},
		{"CVE-1", "pkg:npm/%40scope/name", "@scope/name", "pkg:npm/@scope/name", "CVE-1", nil, true},
		{"CVE-1", "pkg:npm/@scope/name@1.0", "@scope/name", npm, "CVE-1", nil, true},
		{"CVE-1", "pkg:npm/@scope/name@1.1", "@scope/name", npm, "CVE-1", nil, false},
		{"CVE-1", "pkg:npm/", "@scope/name", npm, "CVE-1", nil, false},
		{"CVE-1", "pkg:", "@scope/name", npm, "CVE-1", nil, false},
		{"CVE-1", "pkg:npm/%zz", "x", "pkg:npm/%zz@1", "CVE-1", nil, true},
		{"CVE-1", "pkg:deb/debian/openssl", "openssl", "", "CVE-1", nil, false},
		{"CVE-1", "pkg:", "openssl", "", "CVE-1", nil, false},
	} {
		f := finding(tt.id, "critical", intoto.FindingPackage, tt.found, intoto.FindingPURL, tt.purl)
		f.Annotations[0][intoto.FindingAliases] = tt.aliases
		p := waiving(requires("scan"), Waiver{Finding: tt.finding, Package: tt.pkg})
		r := judged(t, p, []attest.Evidence{scanned("scan", -time.Minute, []intoto.Finding{f})})
		if waived := len(r.Waived) == 1 && r.Success; waived != tt.want || len(r.Waived)+len(r.Violations) != 1 {
			t.Errorf("waiver of %s in %q, finding %s in %q, %q:\n%s", tt.finding, tt.pkg, tt.id, tt.found, tt.purl,
				lines(r))
		}
	}
}

// A finding in several packages is not waived by a waiver of one of them: the others still have it.
func TestWaiverOfOnePackageOfSeveral(t *testing.T) {
	const openssl, curl = "pkg:deb/debian/openssl@1", "pkg:deb/debian/curl@1"
	for _, tt := range []struct {
		pkg         string
		annotations []map[string]any
		want        bool
	}{
		{"", []map[string]any{{intoto.FindingPackage: "openssl"}, {intoto.FindingPackage: "curl"}}, true},
		{"openssl", []map[string]any{{intoto.FindingPackage: "openssl"}, {intoto.FindingPackage: "curl"}}, false},
		{"curl", []map[string]any{{intoto.FindingPackage: "openssl"}, {intoto.FindingPackage: "curl"}}, false},
		{"openssl", []map[string]any{{intoto.FindingPackage: "openssl"}, {intoto.FindingPackage: "openssl"}}, true},
		{"openssl", []map[string]any{{intoto.FindingPackage: "openssl"}, {intoto.FindingPURL: openssl}}, true},
		{openssl, []map[string]any{{intoto.FindingPackage: "openssl"}, {intoto.FindingPURL: openssl}}, true},
		{openssl, []map[string]any{{intoto.FindingPURL: openssl}, {intoto.FindingPURL: curl}}, false},
		{openssl, []map[string]any{{intoto.FindingPURL: openssl}, {intoto.FindingPURL: curl}, {intoto.FindingPURL: openssl}}, false},
		{"openssl", []map[string]any{{intoto.FindingPackage: ""}, {intoto.FindingPackage: "openssl"}, {intoto.FindingFix: "1"}}, true},
	} {
		f := intoto.Finding{ID: "CVE-1", Severity: []intoto.Severity{{Method: "scanner", Score: "critical"}}, Annotations: tt.annotations}
		r := judged(t, waiving(requires("scan"), Waiver{Finding: "CVE-1", Package: tt.pkg}), []attest.Evidence{scanned("scan", -time.Minute, []intoto.Finding{f})})
		if r.Success != tt.want {
			t.Errorf("waiver in %q, found in %v:\n%s", tt.pkg, tt.annotations, lines(r))
		}
	}
}

// Of several waivers the one that holds longest is told, and all that there is something for are in use.
func TestWaiverThatHoldsLongest(t *testing.T) {
	days := func(n int) time.Time { return noon.AddDate(0, 0, n) }
	p := waiving(requires("scan"), Waiver{Finding: "CVE-1", Until: days(30)},
		Waiver{Finding: "GHSA-1", Until: days(60)},
		Waiver{Finding: "CVE-1", Until: days(-1)}, Waiver{Finding: "CVE-1", From: days(1), Until: days(90)})
	f := finding("CVE-1", "critical")
	f.Annotations = []map[string]any{{intoto.FindingAliases: []string{"GHSA-1"}}}
	r := judged(t, p, []attest.Evidence{scanned("scan", -time.Minute, []intoto.Finding{f})})
	want := []string{"warning waiver.expired CVE-1", "waived vulnerability.denied CVE-1", "success test.passed scan"}
	if diff := cmp.Diff(want, brief(r)); diff != "" {
		t.Error(diff)
	}
	if w := r.Waived[0].Waiver; !w.Until.Equal(days(60)) || w.Place != "waivers[1]" {
		t.Errorf("waived by %+v", w)
	}
}

// Whether a waiver is still of use is known only if every test could be judged.
func TestWaiverOfUnknownFindings(t *testing.T) {
	const blind, seeing = "meets nothing that is known", "meets nothing; take it out"
	clean := scanned("scan", 0, []intoto.Finding{})
	p := waiving(requires("scan", "lint"), Waiver{Finding: "CVE-1"})
	for name, tt := range map[string]struct {
		evidence []attest.Evidence
		want     string
	}{
		"all passed":       {[]attest.Evidence{clean, tested("lint", intoto.Passed, 0)}, seeing},
		"one failed":       {[]attest.Evidence{clean, tested("lint", intoto.Failed, 0)}, seeing},
		"one is missing":   {[]attest.Evidence{tested("lint", intoto.Passed, 0)}, blind},
		"could not tell":   {[]attest.Evidence{tested("scan", intoto.Errored, 0), tested("lint", intoto.Passed, 0)}, blind},
		"does not count":   {[]attest.Evidence{scanned("scan", 0, nil, problem(errBroken)), tested("lint", intoto.Passed, 0)}, blind},
		"nothing is there": {nil, blind},
	} {
		r := judged(t, p, tt.evidence)
		if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0].Msg, tt.want) {
			t.Errorf("%s: want %q\n%+v", name, tt.want, r.Warnings)
		}
	}
}

// Messages about waivers say which, since or until when, and what to do.
func TestWaiverMessages(t *testing.T) {
	day := func(n int) time.Time { return noon.AddDate(0, 0, n) }
	statement := hash("statement")
	p := waiving(requires("scan", "lint"),
		Waiver{Task: "lint", Until: day(7)},
		Waiver{Task: "scan", Until: day(-7)},
		Waiver{Finding: "CVE-1", Package: "log4j-core", Place: "waivers[2], line 12"},
		Waiver{Finding: "CVE-2", Until: day(-1)},
		Waiver{Finding: "CVE-3\n"},
		Waiver{Statement: statement},
	)
	r := judged(t, p, []attest.Evidence{scanned("scan", -time.Minute, []intoto.Finding{
		finding("CVE-1", "critical", intoto.FindingPackage, "org.apache:log4j-api"), finding("CVE-1", "critical",
			intoto.FindingPackage, "org.apache:log4j"),
	})})
	want := []string{
		"the waiver of finding CVE-2 ended on 2026-02-28T12:00:00Z and meets nothing; take it out (waivers[3])",
		"the waiver of task scan ended on 2026-02-22T12:00:00Z, so what it waived counts again (waivers[1])",
		"the waiver of task lint ends on 2026-03-08T12:00:00Z; from then on what it waives counts again (waivers[0])",
		`the waiver of finding "CVE-3\n" meets nothing that is known: a test is missing, could not tell, or its evidence ` +
			`does not count (waivers[4])`,
		"the waiver of finding CVE-1 in log4j-core meets nothing: the finding is in package org.apache:log4j " +
			"(waivers[2], line 12)",
		"the waiver of statement " + statement.String() + " meets nothing; take it out, or correct what it names " +
			"(waivers[5])",
	}
	got := map[string]bool{}
	for _, n := range r.Warnings {
		got[n.Msg] = true
		if n.Waiver == nil {
			t.Errorf("no waiver: %+v", n)
		}
	}
	for _, msg := range want {
		if !got[msg] {
			t.Errorf("nothing says %q", msg)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
	if got, want := r.Waived[0].Waiver.String(), "waived by ada until 2026-03-08T12:00:00Z: no time (waivers[0])"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Go code that makes a policy by hand is held to the same rules as a file.
func TestWaiversAreValid(t *testing.T) {
	p := requires("scan")
	sha := "sha256:" + strings.Repeat("a", 64)
	p.Waivers = []Waiver{
		{},
		{Task: " scan", Finding: "CVE-1", Package: "x", Images: []string{"*"}, Until: noon, Who: " ", Why: "\n"},
		{Task: "scan", Package: "x", Images: []string{sha}, From: noon, Until: noon, Who: "ada", Why: "x"},
		{Statement: v1.Hash{Algorithm: "sha512", Hex: strings.Repeat("a", 128)}, Components: []string{""}, Until: noon,
			Who: "ada", Why: "x"},
		{Finding: "CVE-1", Images: []string{
			"", "**", "*@" + sha, "quay.io", "quay.io/", "team/app", "quay.io*/x", "*/app", "https://quay.io/app", "quay.io/app:latest",
			"sha256:ab", "SHA256:" + strings.Repeat("a", 64), "sha256:" + strings.Repeat("A", 64), "quay.io/app@sha256:ab", "quay.io/app@",
			"quay.io/App", "quay.io/team /app", "quay.io/?", "quay.io/*/App",
			"quay.io/app", "quay.io/*@" + sha, "localhost/app", "localhost:5000/*", "registry:5000/app",
		}, Until: noon, Who: "ada", Why: "x"},
		{Finding: "CVE-1", Images: []string{"*"}, From: time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC),
			Until: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), Who: "ada", Why: "x"},
	}
	want := []string{
		"waivers[0]", "waivers[0].images", "waivers[0].until", "waivers[0].who", "waivers[0].why",
		"waivers[1]", "waivers[1].task", "waivers[1].who", "waivers[1].why",
		"waivers[2].package", "waivers[2].until",
		"waivers[3].statement", "waivers[3].components[0]",
	}
	for i := range 19 {
		want = append(want, fmt.Sprintf("waivers[4].images[%d]", i))
	}
	want = append(want, "waivers[5].from", "waivers[5].until")
	if diff := cmp.Diff(want, fields(t, p.Validate())); diff != "" {
		t.Error(diff)
	}
}

// A waiver of a statement is handed to the resolver, for the images that it is for, while it is in force, and is told
// of. The evidence below it decides then.
func TestWaivedStatements(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)),
		registry.WithReferrersSupport(true)))
	defer server.Close()
	digest, err := empty.Image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	image := imageOf(strings.TrimPrefix(server.URL, "http://") + "/team/app@" + digest.String())
	if err := remote.Write(image, empty.Image); err != nil {
		t.Fatal(err)
	}
	_, err = attest.NewWriter(nil, attest.Options{Encoding: intoto.EncodingStatement}).Write(t.Context(), image, "scan",
		intoto.TestResult{Result: intoto.Passed, Timestamp: noon.Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	statement := `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + digest.Hex + `"}}],"predicateType":"` +
		intoto.TestResultType + `","predicate":{"result":"FAILED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T11:59:00Z"}}`
	refer(t, image, digest, statement)
	bad := hash(statement)
	for _, tt := range []struct {
		name   string
		waiver Waiver
		want   []string
	}{
		{"none", Waiver{Finding: "CVE-1"}, []string{"violation test.failed scan", "warning waiver.unused CVE-1"}},
		{"of it", Waiver{Statement: bad},
			[]string{"waived evidence.ignored " + bad.String(), "success test.passed scan"}},
		{"of it, for the image", Waiver{Statement: bad, Images: []string{digest.String()}},
			[]string{"waived evidence.ignored " + bad.String(), "success test.passed scan"}},
		{"of it, for another image", Waiver{Statement: bad, Images: []string{other.DigestStr()}},
			[]string{"violation test.failed scan"}},
		{"of it, for a component", Waiver{Statement: bad, Components: []string{"app"}},
			[]string{"waived evidence.ignored " + bad.String(), "success test.passed scan"}},
		{"of it, that has ended", Waiver{Statement: bad, Until: noon},
			[]string{"violation test.failed scan", "warning waiver.expired " + bad.String()}},
		{"of it, that has not begun", Waiver{Statement: bad, From: noon.Add(1)},
			[]string{"violation test.failed scan"}},
		{"of another statement", Waiver{Statement: hash("other")},
			[]string{"violation test.failed scan", "warning waiver.unused " + hash("other").String()}},
	} {
		r := attest.NewResolver(believer{}, attest.Options{})
		got, err := waiving(requires("scan"), tt.waiver).Gate(t.Context(), r,
			Input{Image: image, Component: "app", Now: noon})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, brief(got)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		for _, n := range got.Violations {
			if n.Evidence[0].Statement != bad.String() {
				t.Errorf("%s: the report does not tell the digest that a waiver needs: %+v", tt.name, n.Evidence)
			}
		}
		for _, n := range got.Warnings {
			if n.Metadata.Code == CodeWaiverExpired && !strings.Contains(n.Msg, "counts again") {
				t.Errorf("%s: %s", tt.name, n.Msg)
			}
		}
	}
}

// Evidence tells which statements were passed over: at the image, and of those that waivers name.
func TestIgnoredStatementsAreThoseOfTheImage(t *testing.T) {
	statement := hash("statement")
	p := waiving(requires("scan"), Waiver{Statement: statement})
	ignoring := func(image name.Digest, ignored v1.Hash) attest.Evidence {
		return tested("scan", intoto.Passed, 0,
			func(e *attest.Evidence) { e.Image, e.Ignored = image, []v1.Hash{ignored} })
	}
	passed := tested("scan", intoto.Passed, 0)
	for _, tt := range []struct {
		name     string
		evidence []attest.Evidence
		want     string
	}{
		{"that one", []attest.Evidence{ignoring(image, statement)}, "waived evidence.ignored " + statement.String()},
		{"twice", []attest.Evidence{ignoring(image, statement), ignoring(image, statement)},
			"waived evidence.ignored " + statement.String()},
		{"another", []attest.Evidence{ignoring(image, hash("another"))}, "warning waiver.unused " + statement.String()},
		{"at another image", []attest.Evidence{passed, ignoring(other, statement)},
			"warning waiver.unused " + statement.String()},
		{"none", []attest.Evidence{passed}, "warning waiver.unused " + statement.String()},
	} {
		if diff := cmp.Diff([]string{tt.want, "success test.passed scan"},
			brief(judged(t, p, tt.evidence))); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}
