package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

// A cell is what one reader needed at one size.
type cell struct {
	requests int
	times    []time.Duration // for each delay the median, 0 if left out
}

// A meter measures.
type meter struct {
	options
	stage    *stage
	progress io.Writer
	cells    [][]cell // by reader and size
	begin    time.Time
}

func newMeter(o options, s *stage, progress io.Writer) *meter {
	m := &meter{options: o, stage: s, progress: progress, begin: time.Now()}
	for range readers {
		m.cells = append(m.cells, nil)
	}
	return m
}

// measure goes through sizes, and at each size all readers take their turns.
func (m *meter) measure(ctx context.Context) error {
	for _, size := range m.sizes {
		m.stage.front.delay.Store(0)
		fmt.Fprintf(m.progress, "writing %d statements\n", size)
		from, err := m.stage.fill(ctx, size)
		if err != nil {
			return fmt.Errorf("%d statements: %w", size, err)
		}
		for i, r := range readers {
			c, err := m.cell(ctx, i, from)
			if err != nil {
				return fmt.Errorf("%s, %d statements: %w", r.name, size, err)
			}
			m.cells[i] = append(m.cells[i], c)
		}
	}
	return nil
}

// cell checks a reader and measures it.
func (m *meter) cell(ctx context.Context, i int, from shelf) (cell, error) {
	r := readers[i]
	c := cell{times: make([]time.Duration, len(m.delays))}
	for k, delay := range m.delays {
		if m.tooLong(m.cells[i], k, from.size) {
			continue
		}
		m.stage.front.delay.Store(int64(delay))
		var err error
		if c.times[k], c.requests, err = m.median(ctx, r, from); err != nil {
			return c, err
		}
		fmt.Fprintf(m.progress, "%-32s %5d statements, delay %4v: %5d requests, %v\n",
			r.name, from.size, delay, c.requests, c.times[k].Round(time.Millisecond))
	}
	return c, nil
}

// tooLong reports whether a size would take longer than the limit if the cost grew with the size, or whether a smaller
// one did already.
func (m *meter) tooLong(smaller []cell, delay, size int) bool {
	if len(smaller) == 0 {
		return false
	}
	last := smaller[len(smaller)-1].times[delay]
	growth := float64(size) / float64(m.sizes[len(smaller)-1])
	return last == 0 || float64(last)*growth > float64(m.limit)
}

// median returns the median of the turns, of which there are fewer if they take long, and the requests of the last.
func (m *meter) median(ctx context.Context, r reader, from shelf) (time.Duration, int, error) {
	var times []time.Duration
	var requests int64
	for begin := time.Now(); len(times) < m.turns && (len(times) == 0 || time.Since(begin) < m.limit); {
		before, start := m.stage.front.requests.Load(), time.Now()
		a, err := r.read(ctx, m.stage, from)
		times = append(times, time.Since(start))
		requests = m.stage.front.requests.Load() - before
		if err != nil {
			return 0, 0, err
		}
		if err := r.check(a, from); err != nil {
			return 0, 0, err
		}
	}
	slices.Sort(times)
	return times[len(times)/2], int(requests), nil
}

// check makes sure that a reader did the work: it has the newest of each test, and verified what it had to.
func (r reader) check(a answer, from shelf) error {
	want := len(from.tests())
	if r.all {
		want = from.size
	}
	if a.verified != want {
		return fmt.Errorf("verified %d statements, not %d", a.verified, want)
	}
	if len(a.newest) != len(from.tests()) {
		return fmt.Errorf("found %d tests, not %d", len(a.newest), len(from.tests()))
	}
	for i := max(0, from.size-tests); i < from.size; i++ {
		if got := a.newest[testOf(i)].Timestamp; !got.Equal(timeOf(i)) {
			return fmt.Errorf("the newest of %s is of %v, not of %v", testOf(i), got, timeOf(i))
		}
	}
	return nil
}
