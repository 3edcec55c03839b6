package main

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"time"
)

// A meter measures entries side by side.
type meter struct {
	reps     int
	limit    time.Duration // what one repetition may take, and all of them at one size before no more are begun
	progress io.Writer
}

// A column is the graphs of one shape and size.
type column struct {
	shape string
	n     int
}

// A row is what became of one entry: nanoseconds per scenario of its best repetition, by column. What was left out is
// not there.
type row struct {
	entry
	ns map[column]float64
}

// warmUp are the sizes that come before all others. They are in no table, but show early what cannot be large.
var warmUp = []int{10, 100}

// measure fills in rows of one work, for graphs of one shape and ascending sizes. At each size the entries take turns,
// so that what else the machine does hits all alike.
func (m *meter) measure(s shape, rows []row, sizes []int) error {
	contenders := make([]contender, len(rows))
	for k, r := range rows {
		contenders[k].row = r
	}
	for k, n := range slices.Concat(warmUp, sizes) {
		g, turns := s.make(n), m.reps
		if k < len(warmUp) {
			turns = 1
		}
		for k := range contenders {
			contenders[k].enter(n, m.limit)
		}
		for range turns {
			for k := range contenders {
				c := &contenders[k]
				if c.out || c.spent > m.limit {
					continue
				}
				if err := c.turn(g); err != nil {
					return fmt.Errorf("%v, %s of %d: %w", c.entry, s.name, n, err)
				}
			}
		}
		for _, c := range contenders {
			if c.best > 0 {
				c.ns[column{s.name, n}] = c.best
				fmt.Fprintf(m.progress, "%-40v %s of %d: %s ns\n", c.entry, s.name, n, number(c.best))
			}
		}
	}
	return nil
}

// A contender is an entry while it is measured.
type contender struct {
	row
	out   bool          // this size and all above are left out
	best  float64       // at this size, nanoseconds per scenario; 0 before the first repetition
	took  float64       // the same, what prepares the work included
	spent time.Duration // at this size, by all turns

	n, beforeN int     // this size and the one before
	before     float64 // took at that
}

// enter begins with size n. A rival is left out of it if it would take longer than the limit though the cost of a
// scenario grows no faster than it did: with the same power of the size, but not with more than its first, since what
// else the machine does can make a small size look as cheap or as dear as it likes.
func (c *contender) enter(n int, limit time.Duration) {
	growth := 1.0
	if c.took > c.before && c.before > 0 {
		steps := math.Log(float64(n)/float64(c.n)) / math.Log(float64(c.n)/float64(c.beforeN))
		growth = min(math.Pow(c.took/c.before, steps), float64(n)/float64(c.n))
	}
	expected := time.Duration(min(c.took*growth*float64(n), math.MaxInt64/2))
	c.out = c.out || c.role == rival && expected > limit || c.most > 0 && n > c.most
	c.n, c.beforeN, c.before = n, c.n, c.took
	c.best, c.took, c.spent = 0, 0, 0
}

// turnTime is how long a turn goes on with a small graph: it is done often.
const turnTime = 20 * time.Millisecond

// turn does the work until its time is over, at least once.
func (c *contender) turn(g *graph) error {
	begin, worked := time.Now(), time.Duration(0)
	for worked == 0 || worked < turnTime && time.Since(begin) < 3*turnTime {
		prepared, did, err := repeat(c.entry, g, worked == 0)
		if err != nil {
			return err
		}
		best, took := float64(did)/float64(g.len()), float64(prepared+did)/float64(g.len())
		if c.best == 0 || best < c.best {
			c.best = best
		}
		if c.took == 0 || took < c.took {
			c.took = took
		}
		worked += max(did, 1)
	}
	c.spent += time.Since(begin)
	return nil
}

// repeat prepares a job and does it once, after a garbage collection if collect is set, and looks that it was done.
func repeat(e entry, g *graph, collect bool) (prepared, did time.Duration, err error) {
	tally := make([]int32, g.len())
	begin := time.Now()
	j, err := e.prepare(g, func(i int) { tally[i]++ })
	if err != nil {
		return 0, 0, err
	}
	if j.close != nil {
		defer j.close()
	}
	prepared = time.Since(begin)
	if collect {
		runtime.GC()
	}
	begin = time.Now()
	if err := j.do(); err != nil {
		return 0, 0, err
	}
	did = time.Since(begin)
	return prepared, did, done(e.work, g, j, tally)
}
