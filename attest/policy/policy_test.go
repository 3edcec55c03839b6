package policy

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/attest/intoto"
)

// Tests are those of every entry, since what will be required warns. Builds are asked about otherwise.
func TestTests(t *testing.T) {
	p := Policy{
		RequiredInBuild: entries([]string{"init"}),
		Required:        []Entry{since(time.Time{}, "scan", "b|a"), since(noon.AddDate(1, 0, 0), "scan", "lint")},
	}
	var want []intoto.Test
	for _, name := range []string{"a", "b", "lint", "scan"} {
		want = append(want, intoto.Test{Name: name, PredicateType: intoto.TestResultType}, intoto.Test{Name: name, PredicateType: intoto.VulnsType})
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
		want := []coming{{AnyOf{"b"}, later.EffectiveOn}, {AnyOf{"e"}, later.EffectiveOn}}
		if diff := cmp.Diff(want, got.later, cmp.AllowUnexported(coming{})); diff != "" {
			t.Error(diff)
		}
	}
}

// What the last of several entries to come names is enforced as soon as one before it names it too, and is not told of
// again if it is enforced already.
func TestDemandOfSeveralEntriesToCome(t *testing.T) {
	day := func(n int) time.Time { return noon.AddDate(0, 0, n) }
	list := []Entry{since(day(9), "a|x", "b", "c", "d|e"), since(day(-1), "a"), since(day(5), "b", "c", "gone"), since(day(2), "b", "d")}
	got := at(list, noon)
	want := demand{
		now:   []AnyOf{{"a", "x"}},
		later: []coming{{AnyOf{"b"}, day(2)}, {AnyOf{"c"}, day(5)}, {AnyOf{"d", "e"}, day(2)}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(demand{}, coming{})); diff != "" {
		t.Error(diff)
	}
	for _, c := range got.later { // the instant told is the first at which it is enforced
		for _, e := range list {
			enforced := slices.ContainsFunc(at(list, e.EffectiveOn).now, func(task AnyOf) bool { return task.key() == c.key() })
			if e.EffectiveOn.Before(c.from) && enforced || e.EffectiveOn.Equal(c.from) && !enforced {
				t.Errorf("%s is told to be from %s on; at %s it is %t", c, c.from, e.EffectiveOn, enforced)
			}
		}
	}
}
