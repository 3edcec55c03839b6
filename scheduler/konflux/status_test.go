package konflux_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/scheduler/konflux"
)

// Fields that are not known are kept out of comparisons: what they hold is seen in the text.
var knownFields = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".unknown" }, cmp.Ignore())

// goldenStatuses is in the form that FormatStatuses writes.
const goldenStatuses = `[` +
	`{"scenario":"build","status":"TestPassed","lastUpdateTime":"2026-03-01T12:00:00Z","details":"build passed","startTime":"2026-03-01T11:00:00Z",` +
	`"completionTime":"2026-03-01T12:00:00.000000001Z","testPipelineRunName":"build-1-x","isOptionalScenario":true,"runAfter":["a","b"]},` +
	`{"scenario":"scan","status":"Pending","lastUpdateTime":"2026-03-01T13:00:00+02:00","details":"","retries":{"a":[1,null]},"zeal":"\u003c"}]`

func TestStatuses(t *testing.T) {
	got, err := konflux.ParseStatuses(goldenStatuses)
	if err != nil {
		t.Fatal(err)
	}
	want := []konflux.ScenarioStatus{{
		Scenario: "build", Status: konflux.TestPassed, Updated: noon, Details: "build passed", Started: noon.Add(-time.Hour),
		Completed: noon.Add(1), RunName: "build-1-x", Optional: true, RunAfter: []string{"a", "b"},
	}, {
		Scenario: "scan", Status: konflux.Pending, Updated: noon.Add(-time.Hour),
	}}
	equal(t, "entries", got, want, knownFields)
	text, err := konflux.FormatStatuses(got)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "text", text, goldenStatuses)
}

// What people write by hand is read, too; what is written is always the same.
func TestStatusesCanonical(t *testing.T) {
	for in, want := range map[string]string{
		``:     `[]`,
		`null`: `[]`,
		`[ ]`:  `[]`,
		`[{"zz":1, "b" : [ 1 ],"status":"Deleted","lastUpdateTime":"2026-03-01T12:00:00.10Z","scenario":"a","details":null,"startTime":null,"runAfter":[],"isOptionalScenario":false}]`: `[{"scenario":"a","status":"Deleted","lastUpdateTime":"2026-03-01T12:00:00.1Z","details":"","b":[1],"zz":1}]`,
		`[{"Scenario":"c","scenario":"a","status":"Pending","lastUpdateTime":"2026-03-01T12:00:00Z"}]`:                                                                                  `[{"scenario":"a","status":"Pending","lastUpdateTime":"2026-03-01T12:00:00Z","details":"","Scenario":"c"}]`,
	} {
		list, err := konflux.ParseStatuses(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		got, err := konflux.FormatStatuses(list)
		if err != nil || got != want {
			t.Errorf("%s\ngot  %s (%v)\nwant %s", in, got, err, want)
		}
	}
}

func TestStatusesRefused(t *testing.T) {
	const rest = `"status":"Pending","lastUpdateTime":"2026-03-01T12:00:00Z"`
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"not JSON":           {`[{`, []string{"status annotation: "}},
		"more than one":      {`[][]`, []string{"status annotation: more than one JSON value"}},
		"not UTF-8":          {"[\"\xff\"]", []string{"status annotation: not valid UTF-8"}},
		"an object":          {`{}`, []string{"status annotation: json: cannot unmarshal object"}},
		"a list of text":     {`["a"]`, []string{"status annotation: json: cannot unmarshal string"}},
		"key twice":          {`[{"scenario":"a","scenario":"b",` + rest + `}]`, []string{`status annotation: key "scenario" in $[0]: given twice`}},
		"too deep":           {`[{"scenario":"a",` + rest + `,"x":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}]`, []string{"status annotation: depth over the limit of 32"}},
		"too long":           {strings.Repeat(" ", 256<<10-1) + "[]", []string{"status annotation: it has 262145 bytes; want at most 262144"}},
		"null":               {`[null]`, []string{"entry 0: it is null; want an object"}},
		"nothing":            {`[{}]`, []string{"entry 0: scenario is missing", "status is missing", "lastUpdateTime is missing"}},
		"null scenario":      {`[{"scenario":null,` + rest + `}]`, []string{"entry 0: scenario is missing"}},
		"empty scenario":     {`[{"scenario":"",` + rest + `}]`, []string{"entry 0: scenario is empty"}},
		"unknown status":     {`[{"scenario":"a","status":"Canceled","lastUpdateTime":"2026-03-01T12:00:00Z"}]`, []string{`entry 0, "a": unknown status "Canceled"; want one of [Pending InProgress TestPassed `}},
		"status in its case": {`[{"scenario":"a","status":"pending","lastUpdateTime":"2026-03-01T12:00:00Z"}]`, []string{`entry 0, "a": unknown status "pending"`}},
		"no time":            {`[{"scenario":"a","status":"Pending","lastUpdateTime":"yesterday"}]`, []string{`entry 0, "a": lastUpdateTime: parsing time`}},
		"no list":            {`[{"scenario":"a",` + rest + `,"runAfter":"b"}]`, []string{`entry 0, "a": runAfter: json: cannot unmarshal string`}},
		"text for a bool":    {`[{"scenario":"a",` + rest + `,"isOptionalScenario":"true"}]`, []string{`entry 0, "a": isOptionalScenario: json: cannot unmarshal string`}},
		"number for text":    {`[{"scenario":"a",` + rest + `,"details":1,"testPipelineRunName":2}]`, []string{`entry 0, "a": details: json: cannot`, `testPipelineRunName: json: cannot`}},
		"twice":              {`[{"scenario":"a",` + rest + `},{"scenario":"b",` + rest + `},{"scenario":"a",` + rest + `}]`, []string{`entry 2, "a": an earlier entry has the same scenario`}},
		"nameless twice":     {`[{},{}]`, []string{"entry 0: scenario is missing", "status is missing", "lastUpdateTime is missing", "entry 1: scenario is missing", "status is missing", "lastUpdateTime is missing"}},
		"all at once": {`[{"scenario":"a",` + rest + `,"startTime":1},{"scenario":"b",` + rest + `},null,{"scenario":"b"}]`, []string{
			`entry 0, "a": startTime: `, "entry 2: it is null", `entry 3, "b": status is missing`, "lastUpdateTime is missing", "an earlier entry has the same scenario",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := konflux.ParseStatuses(tt.text)
			if list != nil {
				t.Errorf("a list beside the error: %v", list)
			}
			got := mistakes(err)
			if len(got) != len(tt.want) {
				t.Fatalf("got %d mistakes, want %d: %q", len(got), len(tt.want), got)
			}
			for i := range got {
				if !strings.Contains(got[i], tt.want[i]) {
					t.Errorf("mistake %d: got %q; want %q", i, got[i], tt.want[i])
				}
			}
			var e *konflux.StatusError
			if !errors.As(err, &e) {
				t.Errorf("got %T; want a *StatusError", err)
			}
		})
	}
}

func TestStatusError(t *testing.T) {
	_, err := konflux.ParseStatuses(`[{"scenario":"a","status":"Pending","lastUpdateTime":3}]`)
	var e *konflux.StatusError
	if !errors.As(err, &e) || e.Entry != 0 || e.Scenario != "a" || errors.Unwrap(e) == nil {
		t.Errorf("got %#v; want entry 0, a, and what is wrong", e)
	}
	wrong := errors.New("wrong")
	for want, e := range map[string]*konflux.StatusError{
		"konflux: status annotation: wrong":               {Entry: -1, Err: wrong},
		"konflux: status annotation: entry 0: wrong":      {Entry: 0, Err: wrong},
		`konflux: status annotation: entry 0, "a": wrong`: {Entry: 0, Scenario: "a", Err: wrong},
	} {
		equal(t, "message", e.Error(), want)
	}
}

// What is within the limits by a byte, a value or a depth is read.
func TestStatusesWithinLimits(t *testing.T) {
	const entry = `{"scenario":"a","status":"Pending","lastUpdateTime":"2026-03-01T12:00:00Z","x":%s}`
	for name, text := range map[string]string{
		"bytes":  strings.Repeat(" ", 256<<10-2) + "[]",
		"values": "[" + fmt.Sprintf(entry, "[0"+strings.Repeat(",0", 130_000)+"]") + "]",
		"depth":  "[" + fmt.Sprintf(entry, strings.Repeat("[", 30)+strings.Repeat("]", 30)) + "]",
	} {
		if _, err := konflux.ParseStatuses(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FormatStatuses writes nothing that could not be read.
func TestFormatStatusesRefuses(t *testing.T) {
	good := konflux.ScenarioStatus{Scenario: "a", Status: konflux.Pending, Updated: noon}
	change := func(f func(*konflux.ScenarioStatus)) konflux.ScenarioStatus {
		s := good
		f(&s)
		return s
	}
	for name, tt := range map[string]struct {
		list []konflux.ScenarioStatus
		want string
	}{
		"no scenario": {[]konflux.ScenarioStatus{good, change(func(s *konflux.ScenarioStatus) { s.Scenario = "" })}, "entry 1: scenario is empty"},
		"no status":   {[]konflux.ScenarioStatus{change(func(s *konflux.ScenarioStatus) { s.Status = "" })}, `entry 0, "a": unknown status ""`},
		"twice":       {[]konflux.ScenarioStatus{good, good}, `entry 1, "a": an earlier entry has the same scenario`},
		"year 10000":  {[]konflux.ScenarioStatus{change(func(s *konflux.ScenarioStatus) { s.Started = noon.AddDate(10000, 0, 0) })}, `startTime of "a"`},
		"odd zone":    {[]konflux.ScenarioStatus{change(func(s *konflux.ScenarioStatus) { s.Updated = noon.In(time.FixedZone("", 25*60*60)) })}, `lastUpdateTime of "a"`},
	} {
		text, err := konflux.FormatStatuses(tt.list)
		var e *konflux.StatusError
		if text != "" || !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %q, %v; want a *StatusError: %s", name, text, err, tt.want)
		}
	}
}

func TestFinal(t *testing.T) {
	for status, want := range map[konflux.Status]bool{
		konflux.Pending: false, konflux.InProgress: false, konflux.TestPassed: true, konflux.TestWarning: true, konflux.TestFail: true,
		konflux.TestInvalid: true, konflux.Deleted: true, konflux.EnvironmentProvisionError: true, konflux.DeploymentError: true,
		konflux.BuildPLRInProgress: false, konflux.BuildPLRFailed: false, konflux.SnapshotCreationFailed: false,
		konflux.GroupSnapshotCreationFailed: false, "": false,
	} {
		if got := status.Final(); got != want {
			t.Errorf("%q: got %v", status, got)
		}
		text := fmt.Sprintf(`[{"scenario":"a","status":%q,"lastUpdateTime":"2026-03-01T12:00:00Z"}]`, status)
		if _, err := konflux.ParseStatuses(text); (err == nil) != (status != "") {
			t.Errorf("%q read: %v", status, err)
		}
	}
}

// statuses draws entries that can be written, times in any zone.
func statuses() *rapid.Generator[[]konflux.ScenarioStatus] {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("ab-é<>\"\n ")), 1, 8, -1)
	when := rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "zero") {
			return time.Time{}
		}
		zone := time.FixedZone("", 60*rapid.IntRange(-14*60, 14*60).Draw(t, "minutes"))
		return time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "seconds"), rapid.Int64Range(0, 1e9-1).Draw(t, "nanoseconds")).In(zone)
	})
	return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) konflux.ScenarioStatus {
		return konflux.ScenarioStatus{
			Scenario: text.Draw(t, "scenario"), Status: rapid.SampledFrom([]konflux.Status{
				konflux.Pending, konflux.InProgress, konflux.TestPassed, konflux.TestWarning, konflux.TestFail, konflux.TestInvalid,
				konflux.Deleted, konflux.BuildPLRInProgress,
			}).Draw(t, "status"),
			Updated: when.Draw(t, "updated"), Details: rapid.SampledFrom([]string{"", "x <&> é"}).Draw(t, "details"), Started: when.Draw(t, "started"),
			Completed: when.Draw(t, "completed"), RunName: rapid.SampledFrom([]string{"", "scan-1-x"}).Draw(t, "run"),
			Optional: rapid.Bool().Draw(t, "optional"), RunAfter: rapid.SampledFrom([][]string{nil, {"b", "a"}}).Draw(t, "after"),
		}
	}), 0, 4, func(s konflux.ScenarioStatus) string { return s.Scenario })
}

// What is written is read back equal, and every instant stays the same whatever its zone.
func TestStatusesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := statuses().Draw(t, "statuses")
		text, err := konflux.FormatStatuses(list)
		if err != nil {
			t.Fatal(err)
		}
		back, err := konflux.ParseStatuses(text)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "read back", back, list, knownFields, emptyIsNil)
		again, _ := konflux.FormatStatuses(back)
		equal(t, "written again", again, text)
	})
}

// Whatever is read as statuses is written and read back equal, and is JSON to others, too.
func FuzzStatuses(f *testing.F) {
	f.Add("")
	f.Add("null")
	f.Add(goldenStatuses)
	f.Add(`[{"scenario":"a","status":"TestFail","lastUpdateTime":"0000-01-01T00:00:00+23:59","x":1e400,"":{"a":"\u0000"}}]`)
	f.Add(`[{"scenario":"\ud800","status":"TestFail","lastUpdateTime":"2026-03-01T12:00:00,5Z"},{"scenario":null}]`)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := konflux.ParseStatuses(text)
		if err != nil {
			return
		}
		first, err := konflux.FormatStatuses(list)
		if err != nil {
			if len(text) > 200<<10 || strings.Contains(err.Error(), "MarshalJSON: year") {
				return // escapes and defaults make it longer
			}
			t.Fatal(err)
		}
		if !json.Valid([]byte(first)) {
			t.Fatalf("not JSON: %s", first)
		}
		back, err := konflux.ParseStatuses(first)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "read back", back, list, knownFields, emptyIsNil)
		second, err := konflux.FormatStatuses(back)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "written again", second, first)
	})
}
