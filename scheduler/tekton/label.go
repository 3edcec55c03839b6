package tekton

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"maps"
	"regexp"
	"strconv"
	"strings"

	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// defaultPrefix is of the labels and annotations of a [Runner].
const defaultPrefix = "testdag.dev"

// A prefix is what the keys of labels and annotations begin with.
type prefix string

func (p prefix) scope() string    { return string(p) + "/scope" }
func (p prefix) scenario() string { return string(p) + "/scenario" }
func (p prefix) run() string      { return string(p) + "/run" }
func (p prefix) basis() string    { return string(p) + "/basis" }
func (p prefix) forced() string   { return string(p) + "/forced" }
func (p prefix) stopped() string  { return string(p) + "/stopped" }

// selector selects the PipelineRuns of a scope.
func (p prefix) selector(scope string) string { return p.scope() + "=" + labelValue(scope) }

// mark writes on a PipelineRun which run it is. Labels are there to select by, and may hold a scenario shortened; the
// annotations hold it whole.
func (p prefix) mark(m *pipelinerun.Meta, scope string, t scheduler.Task) {
	m.Labels = with(m.Labels, map[string]string{
		p.scope():    labelValue(scope),
		p.scenario(): labelValue(string(t.Ref.ID)),
		p.run():      strconv.Itoa(t.Ref.Run),
	})
	m.Annotations = with(m.Annotations, map[string]string{
		p.scope():    text(scope),
		p.scenario(): text(string(t.Ref.ID)),
	})
	if len(t.Basis) > 0 {
		m.Annotations[p.basis()] = basisText(t.Basis)
	}
	if t.Forced {
		m.Annotations[p.forced()] = "true"
	}
}

// with returns what is in both; more counts.
func with(m, more map[string]string) map[string]string {
	all := make(map[string]string, len(m)+len(more))
	maps.Copy(all, m)
	maps.Copy(all, more)
	return all
}

// basisText is a list in JSON, since IDs may hold anything: ["build#1","lint#2"].
func basisText(basis []scheduler.Ref) string {
	names := make([]string, len(basis))
	for i, ref := range basis {
		names[i] = ref.String()
	}
	list, _ := json.Marshal(names) // text can always be written
	return string(list)
}

// text returns what an annotation can hold.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

const maxLabel = 63

var (
	labelForm  = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`)
	notInLabel = regexp.MustCompile(`[^-A-Za-z0-9_.]+`)
	lower32    = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
)

// labelValue returns text as a label can hold it: as it is, if it can, and otherwise what it begins with and a hash of the
// whole.
func labelValue(text string) string {
	if len(text) <= maxLabel && labelForm.MatchString(text) {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	tail := "-" + lower32.EncodeToString(sum[:10])
	head := notInLabel.ReplaceAllString(text, "-")
	head = strings.Trim(head[:min(len(head), maxLabel-len(tail))], "-_.")
	if head == "" {
		return "x" + tail
	}
	return head + tail
}
