package policy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/attest"
)

// Tests are those of every entry, since what will be required warns. Builds are asked about otherwise.
func TestTests(t *testing.T) {
	p := Policy{
		RequiredInBuild: entries([]string{"init"}),
		Required:        []Entry{since(time.Time{}, "scan", "b|a"), since(noon.AddDate(1, 0, 0), "scan", "lint")},
	}
	var want []attest.Test
	for _, name := range []string{"a", "b", "lint", "scan"} {
		want = append(want, attest.Test{Name: name, PredicateType: attest.TestResultType}, attest.Test{Name: name, PredicateType: attest.VulnsType})
	}
	if diff := cmp.Diff(want, p.Tests()); diff != "" {
		t.Error(diff)
	}
	if got := inBuild("init").Tests(); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

// The demand of a list depends on its entries, not on their order.
func TestDemand(t *testing.T) {
	past, now, soon, later := since(noon.AddDate(0, 0, -1), "a", "b"), since(noon, "a", "c"), since(noon.Add(1), "d"), since(noon.AddDate(0, 0, 1), "a", "b", "e")
	exact := at([]Entry{since(noon, "a", "b|c"), since(noon.Add(1), "a|b", "a", "b|c")}, noon)
	if diff := cmp.Diff([]AnyOf{{"a"}, {"b", "c"}}, exact.now); diff != "" {
		t.Error(diff)
	}
	for _, list := range [][]Entry{{past, now, soon, later}, {later, soon, now, past}, {soon, past, later, now}} {
		got := at(list, noon)
		if diff := cmp.Diff([]AnyOf{{"a"}}, got.now); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]AnyOf{{"b"}, {"e"}}, got.later); diff != "" {
			t.Error(diff)
		}
		if !got.from.Equal(later.EffectiveOn) {
			t.Errorf("from %s", got.from)
		}
	}
}
