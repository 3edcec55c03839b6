package scan_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/scan"
)

var generatedFormats = []scan.Format{scan.Trivy, scan.Grype, scan.Clair, scan.OSVScanner, scan.SARIF}

func TestLimits(t *testing.T) {
	trivy := func(member string) []byte {
		return []byte(`{"SchemaVersion":2,"ArtifactName":"a",` + member + `"Results":[{"Target":"a"}]}`)
	}
	names := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"%d":[],`, i)
		}
		return strings.TrimSuffix(b.String(), ",")
	}
	fixes := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,{"fixed":"1.%d"}`, i)
		}
		return b.String()
	}
	osv := func(vulnerability string) []byte {
		return []byte(`{"results":[{"packages":[{"package":{"name":"a"},"vulnerabilities":[{"id":"x",` + vulnerability + `}]}]}]}`)
	}
	for _, test := range []struct {
		name    string
		content []byte
		limits  scan.Limits
		want    string
	}{
		{"report", generated(scan.Trivy, 100), scan.Limits{ReportBytes: 100 << 10}, "limit report bytes 102400"},
		{"report by a byte", trivy(""), scan.Limits{ReportBytes: int64(len(trivy(""))) - 1}, "limit report bytes 64"},
		{"report in full", trivy(""), scan.Limits{ReportBytes: int64(len(trivy("")))}, "converted"},
		{"long text", trivy(`"CreatedAt":"` + strings.Repeat("x", 20000) + `",`), scan.Limits{ValueBytes: 1000}, "limit value bytes 16000"},
		{"long text that fits", trivy(`"CreatedAt":"` + strings.Repeat("x", 20000) + `",`), scan.Limits{ValueBytes: 1300}, "converted"},
		{"long text that is kept", []byte(`{"SchemaVersion":2,"Results":[{"Target":"a","Vulnerabilities":[{"VulnerabilityID":"` + strings.Repeat("x", 1001) + `"}]}]}`), scan.Limits{ValueBytes: 1000}, "limit value bytes 1000"},
		{"long text that nobody keeps", trivy(`"x":{"a":"` + strings.Repeat("x", 20000) + `"},`), scan.Limits{ValueBytes: 10000}, "converted"},
		{"longer text that nobody keeps", trivy(`"x":{"a":"` + strings.Repeat("x", 20000) + `"},`), scan.Limits{ValueBytes: 1000}, "limit value bytes 16000"},
		{"a text beyond what any limit takes as JSON", trivy(`"x":"` + strings.Repeat("x", 65<<20) + `",`),
			scan.Limits{ValueBytes: 8 << 20}, "limit value bytes 67108864"},
		{"long number that nobody keeps", trivy(`"x":{"a":` + strings.Repeat("1", 20000) + `},`), scan.Limits{ValueBytes: 1000}, "limit value bytes 16000"},
		{"long element", trivy(`"Metadata":{"a":[` + strings.Repeat(`"x",`, 5000) + `1]},`), scan.Limits{ValueBytes: 1000}, "limit value bytes 16000"},
		{"long list", trivy(`"x":[` + strings.Repeat("1,", 20000) + `1],`), scan.Limits{ValueBytes: 1000}, "converted"},
		{"white space", trivy(strings.Repeat(" ", 15000)), scan.Limits{ValueBytes: 1000}, "converted"},
		{"much white space", trivy(strings.Repeat(" ", 20000)), scan.Limits{ValueBytes: 1000}, "limit value bytes 16000"},
		{"many aliases", osv(`"aliases":["` + strings.Repeat(`CVE-2026-0001","`, 2000) + `"]`), scan.Limits{ValueBytes: 1000}, "limit value bytes 16000"},
		{"many empty aliases", osv(`"aliases":[""` + strings.Repeat(`,""`, 10000) + `]`), scan.Limits{ValueBytes: 1000}, "limit value bytes 16000"},
		{"many fixes", osv(`"affected":[{"package":{"name":"a"},"ranges":[{"events":[{"fixed":"1"}` + fixes(1000) + `]}]}]`), scan.Limits{ValueBytes: 3000}, "limit value bytes 3000"},
		{"many scores", []byte(`{"matches":[{"vulnerability":{"id":"x","cvss":[{}` + strings.Repeat(`,{}`, 10000) + `]}}]}`), scan.Limits{ValueBytes: 1000}, "limit value bytes 16000"},
		{"many names", trivy(`"x":{` + names(2001) + `},`), scan.Limits{Findings: 2000}, "limit object names 2000"},
		{"as many names", trivy(`"x":{` + names(2000) + `},`), scan.Limits{Findings: 2000}, "converted"},
		{"many packages of Clair", []byte(`{"manifest_hash":"a","packages":{` + strings.ReplaceAll(names(1001), "[]", "{}") + `}}`), scan.Limits{Findings: 1}, "limit object names 1000"},
		{"a long name", trivy(`"` + strings.Repeat("x", 5000) + `":1,`), scan.Limits{}, "limit value bytes 4096"},
		{"a long name in what is skipped", trivy(`"x":{"` + strings.Repeat("x", 5000) + `":1},`), scan.Limits{}, "limit value bytes 4096"},
		{"groups of OSV", []byte(`{"results":[{"packages":[{"package":{"name":"a"},"groups":[{"ids":["1","2"]},{"ids":["3"]}]}]}]}`), scan.Limits{Findings: 2}, "limit findings 2"},
		{"rules", []byte(`{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"a","rules":[{"id":"1"},{"id":"2"},{"id":"3"}]}}}]}`), scan.Limits{Findings: 2}, "limit findings 2"},
		{"deep", trivy(`"Metadata":` + strings.Repeat(`[`, 20000) + strings.Repeat(`]`, 20000) + `,`), scan.Limits{}, "format trivy: Metadata[0][0]"},
		{"not as deep", trivy(`"Metadata":` + strings.Repeat(`[`, 9999) + strings.Repeat(`]`, 9999) + `,`), scan.Limits{}, "converted"},
		{"too deep", trivy(`"Metadata":` + strings.Repeat(`[`, 10000) + strings.Repeat(`]`, 10000) + `,`), scan.Limits{}, "format trivy: Metadata[0][0]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			opts := told
			opts.Limits = test.limits
			_, err := scan.Convert(bytes.NewReader(test.content), opts)
			if got := brief(err); !strings.HasPrefix(got, test.want) {
				t.Errorf("got %.200s, want %s", got, test.want)
			}
		})
	}
}

func TestLimitOfFindings(t *testing.T) {
	for _, format := range generatedFormats {
		for limit, want := range map[int]string{19: "limit findings 19", 20: "converted"} {
			opts := told
			opts.Limits.Findings = limit
			_, err := scan.Convert(bytes.NewReader(generated(format, 20)), opts)
			if got := brief(err); got != want {
				t.Errorf("%s, at most %d: got %s, want %s", format, limit, got, want)
			}
			var over *intoto.LimitError
			if errors.As(err, &over) && over.Got != 20 {
				t.Errorf("%s: got %d, want 20", format, over.Got)
			}
		}
	}
	opts := told
	opts.Limits.Findings = 2
	const pairs = `{"manifest_hash":"a","packages":{"1":{}},"vulnerabilities":{"1":{"name":"x"}},"package_vulnerabilities":{"1":["1","1","1"]}}`
	_, err := scan.Convert(strings.NewReader(pairs), opts)
	if got := brief(err); got != "limit findings 2" {
		t.Errorf("pairs: got %s", got)
	}
}

// A repeated text comes size times, between a head and a tail. Every now and then it looks at how much memory is in use.
type repeated struct {
	head, body, tail []byte
	times            int
	buffer           bytes.Buffer
	read, looked     int
	peak             uint64
}

func (r *repeated) Read(p []byte) (int, error) {
	for r.buffer.Len() == 0 {
		switch {
		case r.head != nil:
			r.buffer.Write(r.head)
			r.head = nil
		case r.times > 0:
			r.buffer.Write(r.body)
			r.times--
		case r.tail != nil:
			r.buffer.Write(r.tail)
			r.tail = nil
		default:
			return 0, io.EOF
		}
	}
	n, err := r.buffer.Read(p)
	if r.read += n; r.read-r.looked > 16<<20 {
		r.looked = r.read
		r.peak = max(r.peak, heap())
	}
	return n, err
}

// heap returns how much memory is in use after what is not has been given back.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A report is never in memory as a whole: what is not kept of it does not count.
func TestLargeReport(t *testing.T) {
	times := 100_000 // about 200 MB
	if testing.Short() {
		times /= 4
	}
	r := &repeated{
		head: []byte(`{"SchemaVersion":2,"Results":[{"Packages":[{}`), times: times,
		body: []byte(`,{"ID":"zlib@1.3","Description":"` + strings.Repeat("long ", 300) + `","References":` + links + `,"Tags":{"a":1,"b":[true,null]}}`),
		tail: []byte(`],"Vulnerabilities":[{"VulnerabilityID":"CVE-2026-0001"}],"Target":"a"}]}`),
	}
	before := heap()
	got := mustConvertFrom(t, r, told)
	if len(got.Scanner.Result) != 1 {
		t.Errorf("got %d findings, want 1", len(got.Scanner.Result))
	}
	grown := max(r.peak, before) - before
	t.Logf("%d MB read, memory grew by %d kB", r.read>>20, grown>>10)
	if grown > 4<<20 {
		t.Errorf("memory grew by %d MB", grown>>20)
	}
}

// What is written must be readable. Values are what attest.Limits counts: one for each object, list and scalar.
func TestTenThousandFindings(t *testing.T) {
	for _, format := range generatedFormats {
		got := mustConvert(t, generated(format, 10_000), told)
		if len(got.Scanner.Result) != 10_000 {
			t.Fatalf("%s: got %d findings", format, len(got.Scanner.Result))
		}
		content, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(content, &v); err != nil {
			t.Fatal(err)
		}
		n := values(v)
		t.Logf("%s: %.1f MiB, %d values", format, float64(len(content))/(1<<20), n)
		if len(content) > 12<<20 || n > 1<<18-1000 {
			t.Errorf("%s: ten thousand findings cannot be read: %d bytes, %d values", format, len(content), n)
		}
	}
}

func values(v any) int {
	n := 1
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			n += values(e)
		}
	case []any:
		for _, e := range v {
			n += values(e)
		}
	}
	return n
}
