package main

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

// A machine is the floor of what a scheduler does that can tell what it did: on flat arrays the state and the attempts
// of each scenario, the parents that are open, what may begin, and a log of starts and ends.
type machine struct {
	*csr
	state   []state
	attempt []int32
	open    []int32 // parents that have not passed since the scenario was last reset
	ready   []int32
	log     []transition
}

// newMachine returns a machine that has room for all it will log in one run of everything, and in a second one if again
// is set.
func newMachine(c *csr, again bool) *machine {
	n, runs := c.len(), 1
	if again {
		runs = 2
	}
	m := &machine{
		csr: c, state: make([]state, n), attempt: make([]int32, n), open: append([]int32(nil), c.waits...),
		ready: make([]int32, 0, runs*n), log: make([]transition, 0, 2*runs*n),
	}
	for i, w := range c.waits {
		if w == 0 {
			m.state[i] = ready
			m.ready = append(m.ready, int32(i))
		}
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

// fsm makes the entries of the machine, which differ in what they do with a new one.
func fsm(w work, do func(m *machine, visit func(int)) job) entry {
	return entry{work: w, name: "state machine", role: floor, prepare: func(g *graph, visit func(int)) (job, error) {
		c, err := numbered(g)
		if err != nil {
			return job{}, err
		}
		return do(newMachine(c, w == wave), visit), nil
	}}
}

var machines = []entry{
	fsm(decide, func(m *machine, visit func(int)) job {
		return job{do: func() error { m.drain(visit); return nil }}
	}),
	fsm(cascade, func(m *machine, _ func(int)) job {
		return job{
			do:       func() error { m.start(0); m.fail(0); return nil },
			canceled: func(i int) bool { return m.state[i] == canceled },
		}
	}),
	fsm(wave, func(m *machine, visit func(int)) job {
		m.drain(func(int) {})
		return job{do: func() error { m.again(0); m.drain(visit); return nil }}
	}),
}
