package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
)

func TestLevels(t *testing.T) {
	type severities = []intoto.Severity
	for _, tt := range []struct {
		name string
		of   severities
		want Level
	}{
		{"nobody says", nil, Unknown},
		{"a word", severities{{Method: "nvd", Score: "high"}}, High},
		{"in capitals", severities{{Method: "nvd", Score: "HIGH"}}, High},
		{"the worst of several words, first", severities{{Method: "redhat", Score: "critical"}, {Method: "nvd", Score: "low"}}, Critical},
		{"the worst of several words, last", severities{{Method: "nvd", Score: "low"}, {Method: "redhat", Score: "critical"}}, Critical},
		{"a word that nobody knows is none", severities{{Method: "x", Score: "purple"}}, Unknown},
		{"and one that is known goes before it", severities{{Method: "x", Score: "purple"}, {Method: "y", Score: "low"}}, Low},
		{"a word goes before a score", severities{{Method: "cvss_v3:nvd", Score: "9.8"}, {Method: "debian", Score: "low"}}, Low},
		{"a word that says nothing does not", severities{{Method: "cvss_v3:nvd", Score: "9.8"}, {Method: "trivy", Score: "unknown"}}, Critical},
		{"the worst of several scores", severities{{Method: "cvss_v2:nvd", Score: "4.3"}, {Method: "cvss_v3:nvd", Score: "7.5"}}, High},
		{"10", severities{{Method: "cvss", Score: "10.0"}}, Critical},
		{"9", severities{{Method: "cvss", Score: "9"}}, Critical},
		{"8.9", severities{{Method: "cvss", Score: "8.9"}}, High},
		{"7", severities{{Method: "cvss", Score: "7.0"}}, High},
		{"6.9", severities{{Method: "cvss", Score: "6.9"}}, Medium},
		{"4", severities{{Method: "cvss", Score: "4.0"}}, Medium},
		{"3.9", severities{{Method: "cvss", Score: "3.9"}}, Low},
		{"0", severities{{Method: "cvss", Score: "0.0"}}, Low},
		{"a score that is none", severities{{Method: "cvss", Score: "10.1"}}, Unknown},
		{"less than nothing", severities{{Method: "cvss", Score: "-1"}}, Unknown},
		{"not a number", severities{{Method: "cvss", Score: "NaN"}}, Unknown},
		{"a vector is no score", severities{{Method: "cvss", Score: "CVSS:3.1/AV:N"}}, Unknown},
		{"a number of whom we do not know", severities{{Method: "nvd", Score: "9.8"}}, Critical},
		{"blanks around a word", severities{{Method: "x", Score: " Critical\n"}}, Critical},
		{"blanks around a score", severities{{Method: "cvss", Score: " 9.8"}}, Critical},
		{"as ACS writes it", severities{{Method: "roxctl", Score: "IMPORTANT_VULNERABILITY_SEVERITY"}}, High},
		{"a probability is no score", severities{{Method: "EPSS", Score: "0.97"}}, Unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := levelOf(intoto.Finding{Severity: tt.of}); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	for level, all := range map[Level]string{
		Critical: "critical defcon1 urgent", High: "high important error", Medium: "medium moderate warning",
		Low: "low note negligible minimal unimportant minor none info informational", Unknown: "unknown unassigned",
	} {
		for word := range strings.FieldsSeq(all) {
			if got := levelOf(finding("CVE-1", word)); got != level {
				t.Errorf("%s: got %s, want %s", word, got, level)
			}
		}
	}
}

// Each finding is judged by its level, by whether it has a fix, and by leeway.
func TestFindings(t *testing.T) {
	const day = 24 * time.Hour
	fix, noFix := []string{intoto.FindingFix, "2.0"}, []string{intoto.FindingFix, ""}
	published := func(ago time.Duration) []string {
		return append([]string{intoto.FindingPublished, noon.Add(-ago).Format(time.RFC3339)}, fix...)
	}
	lists := Vulnerabilities{
		WithFix:    Levels{Deny: []Level{Medium}, Warn: []Level{Medium, Low}},
		WithoutFix: Levels{Deny: []Level{}, Warn: []Level{}},
	}
	leeway := Vulnerabilities{LeewayDays: map[Level]int{High: 14}, WithFix: Levels{Warn: []Level{Medium}}}
	for _, tt := range []struct {
		name    string
		rules   Vulnerabilities
		finding intoto.Finding
		want    Code // empty: nothing is said
	}{
		{"critical with a fix is denied", Vulnerabilities{}, finding("CVE-1", "critical", fix...), CodeDenied},
		{"high with a fix is denied", Vulnerabilities{}, finding("CVE-1", "high", fix...), CodeDenied},
		{"medium with a fix is allowed", Vulnerabilities{}, finding("CVE-1", "medium", fix...), ""},
		{"low with a fix is allowed", Vulnerabilities{}, finding("CVE-1", "low", fix...), ""},
		{"unknown with a fix warns", Vulnerabilities{}, finding("CVE-1", "", fix...), CodeWarnedOf},
		{"critical without a fix warns", Vulnerabilities{}, finding("CVE-1", "critical", noFix...), CodeWarnedOf},
		{"high without a fix warns", Vulnerabilities{}, finding("CVE-1", "high", noFix...), CodeWarnedOf},
		{"medium without a fix is allowed", Vulnerabilities{}, finding("CVE-1", "medium", noFix...), ""},
		{"unknown without a fix warns", Vulnerabilities{}, finding("CVE-1", "", noFix...), CodeWarnedOf},
		{"if nobody knows of a fix there is one", Vulnerabilities{}, finding("CVE-1", "critical"), CodeDenied},
		{"a fix that is no text is not known", Vulnerabilities{}, intoto.Finding{
			ID: "CVE-1", Severity: []intoto.Severity{{Method: "x", Score: "high"}}, Annotations: []map[string]any{{intoto.FindingFix: 7}},
		}, CodeDenied},

		{"deny goes before warn", lists, finding("CVE-1", "medium", fix...), CodeDenied},
		{"what only warns", lists, finding("CVE-1", "low", fix...), CodeWarnedOf},
		{"what no list names is allowed", lists, finding("CVE-1", "critical", fix...), ""},
		{"an empty list is not the default", lists, finding("CVE-1", "critical", noFix...), ""},
		{"nor is an empty list of what is denied", Vulnerabilities{WithFix: Levels{Deny: []Level{}}}, finding("CVE-1", "critical", fix...), ""},

		{"within the leeway it only warns", leeway, finding("CVE-1", "high", published(13*day)...), CodeLeeway},
		{"when the leeway is over it is denied", leeway, finding("CVE-1", "high", published(14*day)...), CodeDenied},
		{"the moment before it is not", leeway, finding("CVE-1", "high", published(14*day-time.Second)...), CodeLeeway},
		{"leeway is for its level", leeway, finding("CVE-1", "critical", published(day)...), CodeDenied},
		{"without a date there is no leeway", leeway, finding("CVE-1", "high", fix...), CodeDenied},
		{"nor with one that is none", leeway, finding("CVE-1", "high", intoto.FindingPublished, "yesterday"), CodeDenied},
		{"a date in the future gives no leeway", leeway, finding("CVE-1", "high", published(-time.Second)...), CodeDenied},
		{"what was published now has leeway", leeway, finding("CVE-1", "high", published(0)...), CodeLeeway},
		{"what warns has no use for leeway", leeway, finding("CVE-1", "medium", published(day)...), CodeWarnedOf},

		{"of two dates the earliest counts", leeway, intoto.Finding{ID: "CVE-1", Severity: []intoto.Severity{{Method: "x", Score: "high"}}, Annotations: []map[string]any{
			{intoto.FindingPublished: "2026-02-28T00:00:00Z"}, {intoto.FindingPublished: "2020-01-01T00:00:00Z"},
		}}, CodeDenied},
		{"of two dates the earliest counts, in any order", leeway, intoto.Finding{ID: "CVE-1", Severity: []intoto.Severity{{Method: "x", Score: "high"}}, Annotations: []map[string]any{
			{intoto.FindingPublished: "2020-01-01T00:00:00Z"}, {intoto.FindingPublished: "2026-02-28T00:00:00Z"},
		}}, CodeDenied},
		{"of two words on the fix that there is one", Vulnerabilities{}, intoto.Finding{ID: "CVE-1", Severity: []intoto.Severity{{Method: "x", Score: "high"}}, Annotations: []map[string]any{
			{intoto.FindingFix: "1.2"}, {intoto.FindingFix: ""},
		}}, CodeDenied},
		{"that there is no fix is known, although further annotations do not say so", Vulnerabilities{}, intoto.Finding{
			ID: "CVE-1", Severity: []intoto.Severity{{Method: "x", Score: "high"}},
			Annotations: []map[string]any{{intoto.FindingFix: ""}, {intoto.FindingTitle: "overflow"}},
		}, CodeWarnedOf},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := requires("scan")
			p.Vulnerabilities = tt.rules
			r := judged(t, p, []attest.Evidence{scanned("scan", -time.Minute, []intoto.Finding{tt.finding})})
			kind := map[Code]string{CodeDenied: "violation", CodeLeeway: "warning", CodeWarnedOf: "warning"}[tt.want]
			var want []string
			switch tt.want {
			case CodeDenied:
				want = []string{kind + " vulnerability.denied " + tt.finding.ID}
			case "":
				want = []string{"success test.passed scan"}
			default:
				want = []string{kind + " " + string(tt.want) + " " + tt.finding.ID, "success test.passed scan"}
			}
			if diff := cmp.Diff(want, brief(r)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A message says what, where, how bad, what mends it, and what becomes of it.
func TestMessages(t *testing.T) {
	p := requires("scan")
	p.Vulnerabilities = Vulnerabilities{
		LeewayDays: map[Level]int{High: 14},
	}
	r := judged(t, p, []attest.Evidence{scanned("scan", -time.Minute, []intoto.Finding{
		finding("CVE-1", "critical", intoto.FindingPackage, "openssl", intoto.FindingVersion, "1.1", intoto.FindingFix, "1.2, 3.0"),
		finding("CVE-2", "high", intoto.FindingPURL, "pkg:npm/x@1", intoto.FindingPublished, "2026-02-20T12:00:00Z"),
		finding("CVE-3", "high", intoto.FindingPackage, "curl", intoto.FindingFix, ""),
		finding("CVE-4", "critical", intoto.FindingPackage, "\x1b[2Jwget"),
		finding("CVE-5", "critical"),
	})})
	want := map[string]string{
		"CVE-1": "scan: CVE-1 in openssl 1.1: critical, fixed in 1.2, 3.0",
		"CVE-2": "scan: CVE-2 in pkg:npm/x@1: high, whether there is a fix is not known; it will be denied from 2026-03-06T12:00:00Z on",
		"CVE-3": `scan: CVE-3 in curl: high, there is no fix`,
		"CVE-4": `scan: CVE-4 in "\x1b[2Jwget": critical, whether there is a fix is not known`,
		"CVE-5": "scan: CVE-5: critical, whether there is a fix is not known",
	}
	got := map[string]string{}
	for _, notes := range [][]Note{r.Violations, r.Warnings, r.Successes} {
		for _, n := range notes {
			got[n.Metadata.Term[0]] = n.Msg
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := r.Warnings[0]; n.Metadata.EffectiveOn == nil || n.Metadata.EffectiveOn.Day() != 6 {
		t.Errorf("got %+v", n)
	}
}
