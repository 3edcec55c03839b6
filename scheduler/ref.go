package scheduler

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/testdag/testdag/dag"
)

// A Ref names one run: scan#2 is the second run of the scenario scan. Runs are counted from 1. A run that was canceled
// before it started keeps its number.
type Ref struct {
	ID  dag.ID
	Run int
}

// String returns the ID, a number sign and the run.
func (r Ref) String() string { return string(r.ID) + "#" + strconv.Itoa(r.Run) }

// ParseRef reads what [Ref.String] writes. The ID may hold number signs itself; the last one counts.
func ParseRef(text string) (Ref, error) {
	at := strings.LastIndexByte(text, '#')
	if at <= 0 {
		return Ref{}, fmt.Errorf("scheduler: %q does not name a run; want one like scan#2", text)
	}
	run, err := strconv.Atoi(text[at+1:])
	if err != nil || run < 0 || run > maxNumber || strconv.Itoa(run) != text[at+1:] {
		return Ref{}, fmt.Errorf("scheduler: %q has no number of a run after the #; want one like scan#2", text)
	}
	return Ref{ID: dag.ID(text[:at]), Run: run}, nil
}

func compareID(r Ref, id dag.ID) int { return strings.Compare(string(r.ID), string(id)) }
