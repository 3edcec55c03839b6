package attest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/checkpoint"
	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

// failedBadly is a failure of the test "scan" half an hour before noon, that is passed over later.
const failedBadly = `{"result":"FAILED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T11:30:00Z"}`

// waived makes an attack of a registry whose referrers API is gone, after a statement was seen that is ignored now. Others
// are failures of the same time that were seen too.
func waived(name, answer, listed string, others ...string) attack {
	return attack{
		name: "the API gone once " + name + " is ignored",
		do: func(w *world, ours, _ *key) {
			w.opts.Checkpoint = inDir(w)
			passedBefore(w, ours)
			for _, other := range others {
				w.attach(w.sign(ours, w.statementOf(intoto.TestResultType, other)), nil)
			}
			bad := w.statementOf(intoto.TestResultType, failedBadly)
			w.attach(w.sign(ours, bad), nil)
			if e := w.mustNewest(ours, testResultOf("scan")); e.Result != intoto.Failed {
				w.T.Fatalf("got %s", e.Result)
			}
			w.opts.UnsafeIgnoreStatements = []v1.Hash{registry.Describe(bad, "").Digest}
			if w.Referrers {
				withoutAPI(404)(w)
			}
		},
		answer: answer,
		listed: listed,
	}
}

// waiverAttacks make use of a statement that is to be ignored.
var waiverAttacks = []attack{
	waived("the newest", "the registry had a referrers API when evidence of 2026-03-01T11:30:00Z was seen", "PASSED at 2026-03-01T11:00:00Z"),
	waived("one of the newest", "the registry had a referrers API when evidence of 2026-03-01T11:30:00Z was seen",
		"FAILED at 2026-03-01T11:30:00Z", failedBadly+" "),
}

// A mark keeps all but the statements that are ignored.
func TestMarkWithout(t *testing.T) {
	one, other := registry.Describe([]byte("one"), "").Digest, registry.Describe([]byte("other"), "").Digest
	m := checkpoint.Mark{Time: attesttest.Noon, Statements: []v1.Hash{one, other}, Referrers: true}
	for _, tt := range []struct {
		ignored []v1.Hash
		want    checkpoint.Mark
	}{
		{nil, m},
		{[]v1.Hash{attesttest.Coffee}, m},
		{[]v1.Hash{one}, checkpoint.Mark{Time: attesttest.Noon, Statements: []v1.Hash{other}, Referrers: true}},
		{[]v1.Hash{one, other}, checkpoint.Mark{Referrers: true}},
	} {
		if diff := cmp.Diff(tt.want, m.Without(tt.ignored)); diff != "" {
			t.Errorf("without %v: %s", tt.ignored, diff)
		}
	}
}
