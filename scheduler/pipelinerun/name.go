package pipelinerun

import (
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"strings"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

const (
	maxName  = 63 // of a DNS-1035 label
	hashSize = 10 // bytes of it in a name: 80 bits, 16 characters
)

var lower32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// RunName names the PipelineRun of a run, as a DNS-1035 label of at most 63 characters: the scenario, shortened if it
// must be, the number of the run, and a hash of the owner's UID and name and of the whole of the run. The owner is what
// the runs belong to, such as a Snapshot.
//
//	clamav-scan-2-x7k4mzq2v5hn3c6a
//
// The same run has the same name whoever asks, so that creating it twice finds the first. Two runs share a name only if 80
// bits of SHA-256 agree: among 100 million runs of one namespace with a chance below one in 200 million.
func RunName(owner Meta, run scheduler.Ref) string {
	tail := "-" + strconv.Itoa(run.Run) + "-" + runHash(owner, run)
	head := label(string(run.ID))
	head = head[:min(len(head), maxName-len(tail))]
	return strings.TrimRight(head, "-") + tail
}

func runHash(owner Meta, run scheduler.Ref) string {
	h := sha256.New()
	for _, part := range []string{owner.UID, owner.Name, string(run.ID), strconv.Itoa(run.Run)} {
		h.Write([]byte(strconv.Itoa(len(part)) + ":" + part)) // the length keeps ("a", "bc") and ("ab", "c") apart
	}
	return lower32.EncodeToString(h.Sum(nil)[:hashSize])
}

// label returns text with what no DNS-1035 label holds replaced. It begins with a letter.
func label(text string) string {
	b := []byte(strings.ToLower(text))
	for i, c := range b {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			b[i] = '-'
		}
	}
	if len(b) == 0 || b[0] < 'a' || b[0] > 'z' {
		return "s" + string(b)
	}
	return string(b)
}

// RunNumber returns the number of the run that a name stands for, if it is the name of a run of the scenario.
func RunNumber(owner Meta, scenario dag.ID, name string) (run int, ok bool) {
	rest, _, ok := cutLast(name, "-")
	if !ok {
		return 0, false
	}
	_, number, _ := cutLast(rest, "-")
	run, err := strconv.Atoi(number)
	if err != nil || run < 1 {
		return 0, false
	}
	if RunName(owner, scheduler.Ref{ID: scenario, Run: run}) != name {
		return 0, false
	}
	return run, true
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
