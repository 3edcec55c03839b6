package schedulertest

import (
	"cmp"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// This file makes what was found as short as it gets. It takes away from a story, and makes plainer, what it can while
// some rule stays broken. rapid would try the same on the numbers behind a story, a thousand times slower.

// shortest returns the breach with the shortest story that is reached from a breach, or from some small stories, which
// are the same each time. So what is reported hardly depends on what was drawn.
func (c *checker) shortest(b *breach) *breach {
	shortest := c.shorter(b)
	for seed, found := 0, 0; seed < 160 && found < 4 && !b.hangs(); seed++ {
		choose := choose(rand.New(rand.NewPCG(uint64(seed), 0)).IntN)
		k := kinds{most: 3, odd: seed%2 == 1, edits: c.edits && seed%4 >= 2}
		other := c.judgeInOrder(choose.story(choose.scenarios(k.most), k))
		if other == nil {
			continue
		}
		found++
		if other.hangs() {
			continue
		}
		if other = c.shorter(other); other.cost() < shortest.cost() {
			shortest = other
		}
	}
	return shortest
}

// shorter returns the breach with the shortest story that is reached from a breach. Only from one that hangs it goes to
// others that hang: those are looked for in a hurry, so the last one is tried again with all patience.
func (c *checker) shorter(b *breach) *breach {
	if !b.hangs() {
		return c.shorterStill(b)
	}
	hurried := *c
	hurried.patience = min(c.patience, time.Second)
	if again := c.judge(hurried.shorterStill(b).story); again != nil && again.hangs() {
		return again
	}
	return b
}

func (b *breach) hangs() bool { return b.rule == ruleEnds }

func (c *checker) shorterStill(b *breach) *breach {
	judge, hangs := c.judge, 0
	if b.how == "" {
		judge = c.judgeInOrder
	}
again:
	cost := b.cost()
	for s := range b.story.simpler() {
		if s.cost() >= cost || hangs >= mostHangs {
			continue
		}
		simpler := judge(s)
		if simpler == nil {
			continue
		}
		if simpler.hangs() {
			hangs++
		}
		if simpler.hangs() == b.hangs() && simpler.cost() < cost {
			b = simpler
			goto again
		}
	}
	return b
}

// mostHangs limits how often it is tried whether a shorter story hangs, too: each leaves a goroutine behind.
const mostHangs = 8

// cost measures how hard a breach is to understand: how much there is to read, what in it no well-behaved world brings,
// and whether it takes more than telling a story in its own order.
func (b *breach) cost() int {
	cost := b.story.cost()
	if b.how != "" {
		cost += 100
	}
	return cost
}

// cost measures how hard a story is to understand.
func (s story) cost() int {
	_, w := s.follow()
	size := 60 * w.odd
	for i, b := range s {
		size += 4
		if b.hold {
			size++
		}
		if b.graph != nil && i > 0 {
			size += 40
		}
		for _, sc := range b.graph {
			size += 20 + 2*number(sc.ID)
			if sc.Optional {
				size += 3
			}
			for _, p := range sc.After {
				size += 8 + int(p.Condition)
			}
			if !slices.IsSortedFunc(sc.After, func(a, b dag.Parent) int { return cmp.Compare(a.ID, b.ID) }) {
				size++
			}
		}
		for _, e := range b.events {
			size += 8 + int(e.Kind) + int(e.Phase) + 2*len(e.Basis) + e.Ref.Run
			if !speakable(e) {
				size += 20
			}
		}
	}
	if !slices.IsSorted(s.ids()) {
		size++
	}
	return size
}

// number is the inverse of nameOf for the names that stories have.
func number(id dag.ID) int {
	if id == "" {
		return 0
	}
	return int(id[0] - 'a')
}

// simpler returns an iterator over stories with a little less in them, the greatest steps first.
func (s story) simpler() iter.Seq[story] {
	return func(yield func(story) bool) {
		for _, step := range []func(func(story) bool) bool{
			s.fewerBlocks, s.fewerScenarios, s.fewerEvents, s.mergedBlocks, s.splitBlocks,
			s.plainerScenarios, s.plainerEvents, s.lowerRuns, s.renamed,
		} {
			if !step(yield) {
				return
			}
		}
	}
}

// edited returns a copy of the story with one block changed; do must not write into what the block holds.
func (s story) edited(i int, do func(b *block)) story {
	s = slices.Clone(s)
	do(&s[i])
	return s
}

func without[T any](list []T, i int) []T { return slices.Delete(slices.Clone(list), i, i+1) }

func withoutAll[T any](list []T, out func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(list), out)
}

func replaced[T any](list []T, i int, v T) []T {
	list = slices.Clone(list)
	list[i] = v
	return list
}

func (s story) fewerBlocks(yield func(story) bool) bool {
	for n := len(s) / 2; n > 0; n /= 2 {
		for i := 0; i+n <= len(s); i++ {
			rest := slices.Concat(s[:i], s[i+n:])
			if len(rest) > 0 && rest[0].graph == nil {
				rest[0].graph = s.graphAt(i + n)
			}
			if len(rest) > 0 && !yield(rest) {
				return false
			}
		}
	}
	for i := range s {
		if i > 0 && s[i].graph != nil && !yield(s.edited(i, func(b *block) { b.graph = nil })) {
			return false
		}
	}
	return true
}

// graphAt returns the graph in a block.
func (s story) graphAt(i int) []dag.Scenario {
	for ; i > 0 && s[i].graph == nil; i-- {
	}
	return s[i].graph
}

func (s story) fewerScenarios(yield func(story) bool) bool {
	for _, id := range s.ids() {
		rest := slices.Clone(s)
		for i := range rest {
			rest[i].graph = withoutAll(rest[i].graph, func(sc dag.Scenario) bool { return sc.ID == id })
			for k, sc := range rest[i].graph {
				rest[i].graph[k].After = withoutAll(sc.After, func(p dag.Parent) bool { return p.ID == id })
			}
			rest[i].events = withoutAll(rest[i].events, func(e scheduler.Event) bool { return e.Ref.ID == id })
		}
		if !yield(rest) {
			return false
		}
	}
	for i, b := range s {
		for k := range b.graph {
			if s.isParent(i, b.graph[k].ID) {
				continue
			}
			if !yield(s.edited(i, func(b *block) { b.graph = without(b.graph, k) })) {
				return false
			}
		}
	}
	return true
}

func (s story) isParent(i int, id dag.ID) bool {
	return slices.ContainsFunc(s[i].graph, func(sc dag.Scenario) bool {
		return slices.ContainsFunc(sc.After, func(p dag.Parent) bool { return p.ID == id })
	})
}

// ids returns the scenarios of all graphs in the order in which they appear there.
func (s story) ids() (ids []dag.ID) {
	for _, b := range s {
		if b.graph == nil {
			continue
		}
		for id := range build(b.graph).All() {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// fewerEvents leaves out an event, or two: what is over must have begun, and what was asked for twice was over before.
func (s story) fewerEvents(yield func(story) bool) bool {
	var shorter []story
	for i, b := range s {
		for k := range b.events {
			shorter = append(shorter, s.edited(i, func(b *block) { b.events = without(b.events, k) }))
		}
	}
	for _, s := range shorter {
		if !yield(s) {
			return false
		}
	}
	if len(shorter) > 10 {
		return true
	}
	for _, s := range shorter {
		for i, b := range s {
			for k := range b.events {
				if !yield(s.edited(i, func(b *block) { b.events = without(b.events, k) })) {
					return false
				}
			}
		}
	}
	return true
}

// mergedBlocks makes one block of two, when the second has the same graph.
func (s story) mergedBlocks(yield func(story) bool) bool {
	for i := range len(s) - 1 {
		if s[i+1].graph != nil {
			continue
		}
		merged := without(s, i+1)
		merged[i].events = slices.Concat(s[i].events, s[i+1].events)
		merged[i].hold = s[i+1].hold
		if !yield(merged) {
			return false
		}
	}
	return true
}

// splitBlocks ends a block at an event, and leaves that out: the plan may say it.
func (s story) splitBlocks(yield func(story) bool) bool {
	for i, b := range s {
		for k, e := range b.events {
			if e.Phase != scheduler.PhaseRunning {
				continue
			}
			tail := block{events: b.events[k+1:], hold: b.hold}
			split := slices.Insert(slices.Clone(s), i+1, tail)
			split[i].events, split[i].hold = b.events[:k:k], false
			if !yield(split) {
				return false
			}
		}
	}
	return true
}

func (s story) plainerScenarios(yield func(story) bool) bool {
	for i, b := range s {
		if b.hold && !yield(s.edited(i, func(b *block) { b.hold = false })) {
			return false
		}
		for k, sc := range b.graph {
			plain := func(sc dag.Scenario) bool {
				return yield(s.edited(i, func(b *block) { b.graph = replaced(b.graph, k, sc) }))
			}
			if !plain(dag.Scenario{ID: sc.ID, After: sc.After}) {
				return false
			}
			inOrder := slices.SortedFunc(slices.Values(sc.After), func(a, b dag.Parent) int { return cmp.Compare(a.ID, b.ID) })
			if !plain(dag.Scenario{ID: sc.ID, Optional: sc.Optional, After: inOrder}) {
				return false
			}
			for p, parent := range sc.After {
				if !plain(dag.Scenario{ID: sc.ID, Optional: sc.Optional, After: without(sc.After, p)}) {
					return false
				}
				for c := range parent.Condition {
					after := replaced(sc.After, p, dag.Parent{ID: parent.ID, Condition: c})
					if !plain(dag.Scenario{ID: sc.ID, Optional: sc.Optional, After: after}) {
						return false
					}
				}
			}
		}
	}
	return true
}

func (s story) plainerEvents(yield func(story) bool) bool {
	for i, b := range s {
		for k, e := range b.events {
			plain := func(e scheduler.Event) bool {
				return yield(s.edited(i, func(b *block) { b.events = replaced(b.events, k, e) }))
			}
			if len(e.Basis) > 0 && !plain(scheduler.Finished(e.Ref, e.Phase)) {
				return false
			}
			if e.Forced && !plain(scheduler.Event{Ref: e.Ref, Phase: e.Phase, Basis: e.Basis}) {
				return false
			}
			for _, basis := range plainerBases(e.Basis) {
				if !plain(scheduler.Event{Ref: e.Ref, Phase: e.Phase, Forced: e.Forced, Basis: basis}) {
					return false
				}
			}
			if e.Kind != scheduler.EventNews {
				if e.Kind > scheduler.EventRerun && !plain(scheduler.Rerun(e.Ref)) {
					return false
				}
				continue
			}
			if e.Phase == scheduler.PhaseStopped { // what people do is easier to follow than what nobody planned
				passed := replaced(b.events, k, scheduler.Finished(e.Ref, scheduler.PhasePassed))
				events := slices.Insert(passed, k+1, scheduler.Rerun(e.Ref))
				if !yield(s.edited(i, func(b *block) { b.events = events })) {
					return false
				}
			}
			for p := scheduler.PhasePassed; p < e.Phase; p++ {
				if !plain(scheduler.Event{Ref: e.Ref, Phase: p, Forced: e.Forced, Basis: e.Basis}) {
					return false
				}
			}
		}
	}
	return true
}

// plainerBases returns a basis in order, and with one entry less.
func plainerBases(basis []scheduler.Ref) (plainer [][]scheduler.Ref) {
	if tidy := sorted(basis); !slices.Equal(tidy, basis) {
		plainer = append(plainer, tidy, slices.SortedFunc(slices.Values(basis), byID))
	}
	for i := range basis {
		plainer = append(plainer, without(basis, i))
	}
	return plainer
}

// lowerRuns counts the runs of a scenario from one less on; with the first run, or without it.
func (s story) lowerRuns(yield func(story) bool) bool {
	for _, id := range append(s.ids(), stranger) {
		lower := func(r scheduler.Ref) scheduler.Ref {
			if r.ID == id && r.Run > 0 {
				r.Run--
			}
			return r
		}
		later := slices.Clone(s)
		for i := range later {
			later[i].events = withoutAll(later[i].events, func(e scheduler.Event) bool { return e.Ref.ID == id && e.Ref.Run <= 1 })
		}
		if !yield(s.mapped(lower)) || !yield(later.mapped(lower)) {
			return false
		}
	}
	return true
}

// mapped returns a copy of the story with other runs in its events.
func (s story) mapped(to func(scheduler.Ref) scheduler.Ref) story {
	s = slices.Clone(s)
	for i := range s {
		s[i].events = slices.Clone(s[i].events)
		for k, e := range s[i].events {
			s[i].events[k].Ref = to(e.Ref)
			s[i].events[k].Basis = slices.Clone(e.Basis)
			for r, ref := range e.Basis {
				s[i].events[k].Basis[r] = to(ref)
			}
			if slices.IsSortedFunc(e.Basis, byID) {
				slices.SortFunc(s[i].events[k].Basis, byID)
			}
		}
	}
	return s
}

// renamed names the scenarios by their place.
func (s story) renamed(yield func(story) bool) bool {
	names := map[dag.ID]dag.ID{stranger: stranger}
	for i, id := range s.ids() {
		names[id] = nameOf(i)
	}
	if !yield(s.named(names)) {
		return false
	}
	for _, id := range s.ids() { // one at a time, where the order of names matters
		for n := range number(id) {
			swap := map[dag.ID]dag.ID{}
			for _, other := range s.ids() {
				swap[other] = other
			}
			swap[id], swap[nameOf(n)] = nameOf(n), id
			if !yield(s.named(swap)) {
				return false
			}
		}
	}
	return true
}

func (s story) named(names map[dag.ID]dag.ID) story {
	name := func(id dag.ID) dag.ID {
		if to, ok := names[id]; ok {
			return to
		}
		return id
	}
	s = slices.Clone(s)
	for i := range s {
		s[i].graph = slices.Clone(s[i].graph)
		for k, sc := range s[i].graph {
			s[i].graph[k].ID = name(sc.ID)
			s[i].graph[k].After = slices.Clone(sc.After)
			for p, parent := range sc.After {
				s[i].graph[k].After[p].ID = name(parent.ID)
			}
		}
	}
	return s.mapped(func(r scheduler.Ref) scheduler.Ref { return scheduler.Ref{ID: name(r.ID), Run: r.Run} })
}
