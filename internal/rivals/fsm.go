package main

import "slices"

// A state is where a scenario stands in a machine.
type state uint8

const (
	waiting state = iota
	ready
	running
	passed
	failed
	canceled
)

// A transition is what the log of a machine keeps of one step: twelve bytes.
type transition struct {
	scenario, attempt int32
	to                state
}

// A machine is the floor of what a scheduler does that keeps a history: on flat slices the state and the attempts
// of each scenario, the parents that are open, what may begin, and a log of starts and ends.
type machine struct {
	*csr
	state   []state
	attempt []int32
	open    []int32 // parents that have not passed since the scenario was last reset
	ready   []int32
	log     []transition
}

// newMachine returns a machine that has room for all it will log in so many runs of everything.
func newMachine(c *csr, runs int) *machine {
	n := c.len()
	m := &machine{
		csr: c, state: make([]state, n), attempt: make([]int32, n), open: slices.Clone(c.waits),
		ready: append(make([]int32, 0, runs*n), c.roots()...), log: make([]transition, 0, 2*runs*n),
	}
	for _, i := range m.ready {
		m.state[i] = ready
	}
	return m
}

func (m *machine) to(i int32, s state) {
	m.state[i] = s
	m.log = append(m.log, transition{i, m.attempt[i], s})
}

func (m *machine) start(i int32) {
	m.attempt[i]++
	m.to(i, running)
}

func (m *machine) pass(i int32) {
	m.to(i, passed)
	for _, c := range m.children(i) {
		if m.open[c]--; m.open[c] == 0 {
			m.state[c] = ready
			m.ready = append(m.ready, c)
		}
	}
}

// fail cancels what waits for i, directly or not.
func (m *machine) fail(i int32) {
	m.to(i, failed)
	found := append(m.ready[:0], i)
	for at := 0; at < len(found); at++ {
		for _, c := range m.children(found[at]) {
			if m.state[c] != canceled {
				m.to(c, canceled)
				found = append(found, c)
			}
		}
	}
	m.ready = found[:0]
}

// again asks a scenario that has passed to run again: what waits for it is reset and runs after it.
func (m *machine) again(i int32) {
	m.state[i] = ready
	found := append(m.ready[:0], i)
	for at := 0; at < len(found); at++ {
		for _, c := range m.children(found[at]) {
			if m.open[c]++; m.open[c] == 1 {
				m.state[c] = waiting
				found = append(found, c)
			}
		}
	}
	m.ready = found[:1]
}

// drain runs what may begin until nothing may.
func (m *machine) drain(visit func(int)) {
	for at := 0; at < len(m.ready); at++ {
		i := m.ready[at]
		m.start(i)
		visit(int(i))
		m.pass(i)
	}
}
