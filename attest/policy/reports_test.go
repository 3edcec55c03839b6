package policy

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/provenance"
)

const (
	clairReport = "application/vnd.redhat.clair-report+json"
	oneCritical = `{"vulnerabilities":{"critical":1,"high":0},"unpatched_vulnerabilities":{"critical":0}}`
	noneFound   = `{"vulnerabilities":{"critical":0},"unpatched_vulnerabilities":{"critical":0}}`
)

// naming is a result REPORTS, given as image and report.
func naming(pairs ...string) string {
	named := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		named[pairs[i]] = pairs[i+1]
	}
	b, _ := json.Marshal(named)
	return string(b)
}

// A scan that ran in a build is judged by the findings of its reports, if these tell all that was found in the image,
// and by its counts otherwise.
func TestBuildReports(t *testing.T) {
	own, report, another := image.DigestStr(), hash("report"), hash("another")
	amd, arm := hash("amd64"), hash("arm64")
	critical := finding("CVE-1", "critical", intoto.FindingPackage, "openssl", intoto.FindingPublished, "2026-02-20T12:00:00Z")
	self, theirs := hashOf(image), hashOf(other)
	found := BuildReport{Image: self, Manifest: report, Findings: []intoto.Finding{critical}}
	clean := BuildReport{Image: self, Manifest: another}
	broken := BuildReport{Image: self, Manifest: report, Problem: errBroken}
	of := func(image v1.Hash, r BuildReport) BuildReport { r.Image = image; return r }
	both := naming(amd.String(), report.String(), arm.String(), another.String())
	leeway := inBuild("scan")
	leeway.Vulnerabilities.LeewayDays = map[Level]int{Critical: 14}
	week := inBuild("scan")
	week.Vulnerabilities.MaxDBAge = 7 * 24 * time.Hour
	for _, tt := range []struct {
		sentence  string
		policy    Policy
		results   []string
		reports   []BuildReport
		platforms []v1.Hash
		want      []string
	}{
		{"Its findings deny.", inBuild("scan"),
			[]string{"REPORTS", naming(own, report.String()), "SCAN_OUTPUT", oneCritical}, []BuildReport{found}, nil,
			[]string{"violation vulnerability.denied CVE-1"}},
		{"A waiver of one holds.", waiving(inBuild("scan"), Waiver{Finding: "CVE-1", Package: "openssl"}),
			[]string{"REPORTS", naming(own, report.String()), "SCAN_OUTPUT", oneCritical}, []BuildReport{found}, nil,
			[]string{"waived vulnerability.denied CVE-1", "success required_in_build.found scan"}},
		{"Leeway holds.", leeway, []string{"REPORTS", naming(own, report.String()), "SCAN_OUTPUT", oneCritical},
			[]BuildReport{found}, nil,
			[]string{"warning vulnerability.leeway CVE-1", "success required_in_build.found scan"}},
		{"It is the same where the test may have run elsewhere.", requires("scan"),
			[]string{"REPORTS", naming(own, report.String())}, []BuildReport{found}, nil,
			[]string{"violation vulnerability.denied CVE-1"}},
		{"A report without findings is one that passed.", inBuild("scan"),
			[]string{"REPORTS", naming(own, another.String()), "SCAN_OUTPUT", oneCritical}, []BuildReport{clean}, nil,
			[]string{"success required_in_build.found scan"}},
		{"Without a report in REPORTS the counts decide.", inBuild("scan"), []string{"SCAN_OUTPUT", oneCritical},
			[]BuildReport{clean}, nil,
			[]string{"violation vulnerability.denied scan"}},
		{"So they do if the report was not looked for.", inBuild("scan"),
			[]string{"REPORTS", naming(own, report.String()), "SCAN_OUTPUT", oneCritical}, []BuildReport{clean}, nil,
			[]string{"violation vulnerability.denied scan"}},
		{"So they do if it is about another image.", inBuild("scan"), []string{"REPORTS", naming(other.DigestStr(), another.String()), "SCAN_OUTPUT", oneCritical}, []BuildReport{of(theirs, clean)}, nil,
			[]string{"violation vulnerability.denied scan"}},
		{"So they do if it cannot be read, which warns.", inBuild("scan"),
			[]string{"REPORTS", naming(own, report.String()), "SCAN_OUTPUT", noneFound}, []BuildReport{broken}, nil,
			[]string{"warning evidence.unreadable scan", "success required_in_build.found scan"}},
		{"Counts deny beside a report that cannot be read.", inBuild("scan"),
			[]string{"REPORTS", naming(own, report.String()), "SCAN_OUTPUT", oneCritical}, []BuildReport{broken}, nil,
			[]string{"violation vulnerability.denied scan", "warning evidence.unreadable scan"}},
		{"Without counts a report that cannot be read denies.", inBuild("scan"),
			[]string{"REPORTS", naming(own, report.String())}, []BuildReport{broken}, nil,
			[]string{"violation test.errored scan"}},
		{"Without counts a report that was not looked for denies.", inBuild("scan"),
			[]string{"REPORTS", naming(own, report.String())}, nil, nil,
			[]string{"violation test.errored scan"}},
		{"REPORTS that cannot be read leave the counts, and warn.", inBuild("scan"),
			[]string{"REPORTS", "none", "SCAN_OUTPUT", noneFound}, nil, nil,
			[]string{"warning evidence.unreadable scan", "success required_in_build.found scan"}},
		{"REPORTS that name no digest cannot be read.", inBuild("scan"),
			[]string{"REPORTS", naming(own, "latest"), "SCAN_OUTPUT", noneFound}, nil, nil,
			[]string{"warning evidence.unreadable scan", "success required_in_build.found scan"}},
		{"REPORTS that cannot be read deny without counts.", inBuild("scan"), []string{"REPORTS", "none"}, nil, nil,
			[]string{"violation test.errored scan"}},

		{"Of an index the reports of all images that it lists decide.", inBuild("scan"), []string{"REPORTS", both, "SCAN_OUTPUT", oneCritical}, []BuildReport{of(amd, found), of(arm, clean)}, []v1.Hash{amd, arm},
			[]string{"violation vulnerability.denied CVE-1"}},
		{"Waivers hold there too.", waiving(inBuild("scan"), Waiver{Finding: "CVE-1"}), []string{"REPORTS", both, "SCAN_OUTPUT", oneCritical}, []BuildReport{of(arm, clean), of(amd, found)}, []v1.Hash{arm, amd},
			[]string{"waived vulnerability.denied CVE-1", "success required_in_build.found scan"}},
		{"If one is not named the counts decide.", inBuild("scan"), []string{"REPORTS", naming(arm.String(), another.String()), "SCAN_OUTPUT", oneCritical}, []BuildReport{of(arm, clean)}, []v1.Hash{amd, arm},
			[]string{"violation vulnerability.denied scan"}},
		{"If one was not read the counts decide.", inBuild("scan"), []string{"REPORTS", both, "SCAN_OUTPUT", oneCritical}, []BuildReport{of(arm, clean)}, []v1.Hash{amd, arm},
			[]string{"violation vulnerability.denied scan"}},
		{"If one cannot be read the counts decide.", inBuild("scan"), []string{"REPORTS", both, "SCAN_OUTPUT", noneFound}, []BuildReport{of(arm, clean), of(amd, broken)}, []v1.Hash{amd, arm},
			[]string{"warning evidence.unreadable scan", "success required_in_build.found scan"}},
		{"A report of the index alone is enough.", inBuild("scan"),
			[]string{"REPORTS", naming(own, another.String()), "SCAN_OUTPUT", oneCritical}, []BuildReport{clean}, []v1.Hash{amd, arm},
			[]string{"success required_in_build.found scan"}},
		{"It hides no report of an image that it lists.", inBuild("scan"),
			[]string{"REPORTS", naming(own, another.String(), amd.String(), report.String()), "SCAN_OUTPUT", noneFound},
			[]BuildReport{clean, of(amd, found)}, []v1.Hash{amd, arm}, []string{"violation vulnerability.denied CVE-1"}},
		{"A report is about one image, so if it is named for two the counts decide for the other.", inBuild("scan"),
			[]string{"REPORTS", naming(amd.String(), another.String(), arm.String(), another.String()), "SCAN_OUTPUT", oneCritical}, []BuildReport{of(amd, clean)}, []v1.Hash{amd, arm},
			[]string{"violation vulnerability.denied scan"}},
		{"An image of its own has no use for the reports of others.", inBuild("scan"), []string{"REPORTS", both, "SCAN_OUTPUT", oneCritical}, []BuildReport{of(arm, clean), of(amd, found)}, nil,
			[]string{"violation vulnerability.denied scan"}},

		{"A failure that the task tells denies beside its report.", inBuild("scan"),
			[]string{"REPORTS", naming(own, another.String()), "TEST_OUTPUT",
				testFailed}, []BuildReport{clean}, nil, []string{"violation test.failed scan"}},
		{"Reports do not tell the age of a database.", week, []string{"REPORTS", naming(own, another.String())},
			[]BuildReport{clean}, nil,
			[]string{"warning vulnerability.old_database scan", "success required_in_build.found scan"}},
	} {
		b := built(0, task("scan", -time.Minute, tt.results...))
		r, err := tt.policy.Judge(Input{Image: image, Now: noon, Builds: []attest.Build{b}, Reports: tt.reports,
			Platforms: tt.platforms})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, brief(r)); diff != "" {
			t.Errorf("%s %s", tt.sentence, diff)
		}
	}
}

// A result that is an object, as Tekton has them too, is no text that holds JSON.
func TestReportsThatAreNoText(t *testing.T) {
	scan := task("scan", -time.Minute, "SCAN_OUTPUT", noneFound)
	scan.Results["REPORTS"] = json.RawMessage(naming(image.DigestStr(), hash("report").String()))
	got := brief(judged(t, inBuild("scan"), nil, built(0, scan)))
	want := []string{"warning evidence.unreadable scan", "success required_in_build.found scan"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A finding is shown with the build and with the report that has it. Those of several platforms that say the same are
// one.
func TestSourcesOfBuildReports(t *testing.T) {
	amd, arm := hash("amd64"), hash("arm64")
	b := built(0, task("scan", -time.Minute, "REPORTS", naming(image.DigestStr(), hash("report").String())))
	critical := []intoto.Finding{finding("CVE-1", "critical")}
	r, err := inBuild("scan").Judge(Input{Image: image, Now: noon, Builds: []attest.Build{b}, Reports: []BuildReport{{Image: hashOf(image), Manifest: hash("report"), Findings: critical}}})
	if err != nil {
		t.Fatal(err)
	}
	var manifests []string
	for _, s := range r.Violations[0].Evidence {
		manifests = append(manifests, s.Manifest)
	}
	if diff := cmp.Diff([]string{b.Manifest.String(), hash("report").String()}, manifests); diff != "" {
		t.Error(diff)
	}
	b = built(0, task("scan", -time.Minute, "REPORTS", naming(amd.String(), hash("1").String(), arm.String(), hash("2").String())))
	r, err = inBuild("scan").Judge(Input{Image: image, Now: noon, Builds: []attest.Build{b}, Platforms: []v1.Hash{amd, arm},
		Reports: []BuildReport{{Image: amd, Manifest: hash("1"), Findings: critical}, {Image: arm, Manifest: hash("2"), Findings: critical}}})
	if err != nil || len(r.Violations) != 1 || len(r.Violations[0].Evidence) != 1 {
		t.Errorf("got %s, %v", lines(r), err)
	}
}

// Reports are read from the repository of the image, by digest, only for scans that the policy requires, and each once.
func TestReportsAreRead(t *testing.T) {
	var asked []string
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
	var down bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, digest, ok := strings.Cut(r.URL.Path, "/manifests/"); ok && r.Method == http.MethodGet {
			asked = append(asked, digest)
		}
		if down {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	defer server.Close()
	repo := strings.TrimPrefix(server.URL, "http://") + "/team/app"
	index, err := random.Index(8, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	amd, arm := m.Manifests[0].Digest, m.Manifests[1].Digest
	of := func(h v1.Hash) name.Digest { return imageOf(repo + "@" + h.String()) }
	if err := remote.WriteIndex(of(digest), index); err != nil {
		t.Fatal(err)
	}
	push := func(media, text string) v1.Hash {
		artifact := mutate.MediaType(mutate.ConfigMediaType(empty.Image, "application/vnd.oci.empty.v1+json"),
			types.OCIManifestSchema1)
		artifact, err := mutate.AppendLayers(artifact, static.NewLayer([]byte(text), types.MediaType(media)))
		if err != nil {
			t.Fatal(err)
		}
		h, err := artifact.Digest()
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(of(h), artifact); err != nil {
			t.Fatal(err)
		}
		return h
	}
	clair := func(image v1.Hash, cve string) string {
		return fmt.Sprintf(`{"manifest_hash":%q,"packages":{"1":{"id":"1","name":"tar","version":"1"}},"environments":{"1":[{"package_db":"x"}]},
			"vulnerabilities":{"1":{"id":"1","name":%q,"normalized_severity":"Critical","fixed_in_version":"2"}},"package_vulnerabilities":{"1":["1"]}}`, image, cve)
	}
	amdReport, armReport := push(clairReport, clair(amd, "CVE-1")), push(clairReport, clair(arm, "CVE-2"))
	indexReport := push(clairReport, clair(digest, "CVE-4"))
	foreign, empty, elsewhere := push("application/vnd.redhat.tpa-report+json", "{}"), push(clairReport, ""), push(clairReport, clair(absentImage, "CVE-3"))
	both := naming(amd.String(), amdReport.String(), arm.String(), armReport.String())
	for _, tt := range []struct {
		name     string
		policy   Policy
		image    v1.Hash
		named    string
		want     []string // findings, or problems
		requests []string // for manifests
	}{
		{"of an image", inBuild("scan"), amd, both, []string{"CVE-1"}, []string{amd.String(), amdReport.String()}},
		{"of an image alone", inBuild("scan"), amd, naming(amd.String(), amdReport.String()), []string{"CVE-1"}, []string{amdReport.String()}},
		{"of an index, and of one that it lists", inBuild("scan"), digest, naming(amd.String(), amdReport.String(), digest.String(), indexReport.String()),
			[]string{"CVE-1", "CVE-4"}, []string{digest.String(), amdReport.String(), indexReport.String()}},
		{"of an index", inBuild("scan"), digest, both, []string{"CVE-1", "CVE-2"}, []string{digest.String(), amdReport.String(), armReport.String()}},
		{"for a test that may have run elsewhere", requires("lint|scan"), arm, both, []string{"CVE-2"}, []string{arm.String(), armReport.String()}},
		{"for another test", inBuild("lint"), amd, both, nil, nil},
		{"of an index, of which one is missing", inBuild("scan"), digest, naming(amd.String(), amdReport.String()), nil, []string{digest.String()}},
		{"that is not there", inBuild("scan"), amd, naming(amd.String(), absentImage.String()), []string{"MANIFEST_UNKNOWN"}, []string{absentImage.String()}},
		{"of a tool that is not known", inBuild("scan"), amd, naming(amd.String(), foreign.String()), []string{"of no report that is read"}, []string{foreign.String()}},
		{"that is empty", inBuild("scan"), amd, naming(amd.String(), empty.String()), []string{"scan: "}, []string{empty.String()}},
		{"that is of another image", inBuild("scan"), amd, naming(amd.String(), elsewhere.String()), []string{absentImage.String()}, []string{elsewhere.String()}},
		{"that is named for two images", inBuild("scan"), digest, naming(amd.String(), amdReport.String(), arm.String(), amdReport.String()),
			[]string{"CVE-1", "scan: "}, []string{digest.String(), amdReport.String(), amdReport.String()}},
		{"that cannot be read", inBuild("scan"), amd, "none", nil, nil},
		{"of an image that is gone", inBuild("scan"), absentImage, both, nil, []string{absentImage.String()}},
	} {
		b := built(0, task("scan", 0, "REPORTS", tt.named), task("again", 0, "REPORTS", tt.named))
		b.Image = of(tt.image)
		untrusted := built(0, task("scan", 0, "REPORTS", naming(tt.image.String(), hash("untrusted").String())))
		untrusted.Problem = errBroken
		in := Input{Image: of(tt.image), Builds: []attest.Build{b, b, untrusted, {Problem: errBroken}}}
		asked = nil
		if err := tt.policy.readReports(t.Context(), attest.NewResolver(believer{}, attest.Options{}),
			&in); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		var got []string
		for _, r := range in.Reports {
			for _, f := range r.Findings {
				got = append(got, f.ID)
			}
			if r.Problem != nil {
				got = append(got, r.Problem.Error())
			}
		}
		fits := len(got) == len(tt.want)
		for i := range min(len(got), len(tt.want)) {
			fits = fits && strings.Contains(strings.Join(got, "\n"), tt.want[i])
		}
		if !fits {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		want := map[string]bool{}
		for _, one := range tt.requests {
			want[one] = true
		}
		for _, one := range asked {
			if !want[one] {
				t.Errorf("%s: asked for %s", tt.name, one)
			}
		}
		if len(asked) != len(tt.requests) {
			t.Errorf("%s: asked %d times for %d manifests", tt.name, len(asked), len(tt.requests))
		}
	}
	down = true
	for _, h := range []v1.Hash{amd, digest} {
		in := Input{Image: of(h), Builds: []attest.Build{built(0, task("scan", 0, "REPORTS", both))}}
		if err := inBuild("scan").readReports(t.Context(), attest.NewResolver(believer{}, attest.Options{Access: attest.Access{Attempts: 1}}),
			&in); err == nil {
			t.Errorf("the registry is down, and %+v is known", in.Reports)
		}
	}
}

// absentImage is the digest of an image that is not there.
var absentImage = hash("nothing")

// A build that names thousands of reports costs no thousands of requests.
func TestReportsAreBounded(t *testing.T) {
	image := hash("image")
	var tasks []provenance.Task
	for i := range 2 * mostReports {
		tasks = append(tasks, task("scan", 0, "REPORTS", naming(image.String(), hash(fmt.Sprint(i)).String())))
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	in := Input{Image: imageOf(strings.TrimPrefix(server.URL, "http://") + "/team/app@" + image.String()),
		Builds: []attest.Build{built(0, tasks...)}}
	if err := inBuild("scan").readReports(t.Context(), attest.NewResolver(believer{}, attest.Options{}),
		&in); err != nil || len(in.Reports) != mostReports {
		t.Errorf("%d reports, %v", len(in.Reports), err)
	}
}
