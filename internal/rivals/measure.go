package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"
)

const (
	turns    = 3                     // how many turns every entry has at a size
	turnTime = 20 * time.Millisecond // how long a turn goes on with a small graph: it is done often

	// limit is what one repetition may take, and all of an entry at one size before no more are begun.
	limit = 10 * time.Second
)

// A row is the best of one entry at each size, in nanoseconds per scenario. Sizes that are left out are not there.
type row struct {
	entry
	ns map[int]float64
}

func newRow(e entry) row { return row{e, map[int]float64{}} }

// sizesUpTo returns powers of ten. Those below 1,000 are not in the table, but show early which entries are slow.
func sizesUpTo(largest int) []int {
	var sizes []int
	for n := 10; n <= largest; n *= 10 {
		sizes = append(sizes, n)
	}
	return sizes
}

// measureAll measures works one after the other, and then those of the late entries.
func measureAll(rows []row, sizes []int, progress io.Writer) error {
	for _, late := range []bool{false, true} {
		for w := range work(len(works)) {
			same := slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r.work != w || r.late != late })
			if err := measure(same, sizes, progress); err != nil {
				return err
			}
		}
	}
	return nil
}

// measure fills in rows of one work.
func measure(rows []row, sizes []int, progress io.Writer) error {
	contenders := make([]contender, len(rows))
	for k, r := range rows {
		contenders[k].row = r
	}
	for _, n := range sizes {
		if err := takeTurns(contenders, n, progress); err != nil {
			return err
		}
	}
	return nil
}

// takeTurns measures one size. The entries take turns, so that disturbances of the machine hit all alike.
func takeTurns(contenders []contender, n int, progress io.Writer) error {
	g := layered(n)
	for k := range contenders {
		contenders[k].enter(n)
	}
	for range turns {
		for k := range contenders {
			c := &contenders[k]
			if c.out || c.spent > limit {
				continue
			}
			if err := c.turn(g); err != nil {
				return fmt.Errorf("%v of %d: %w", c.entry, n, err)
			}
		}
	}
	for _, c := range contenders {
		if c.best > 0 {
			c.ns[n] = c.best
			fmt.Fprintf(progress, "%-40v %7d: %s ns\n", c.entry, n, number(c.best))
		}
	}
	return nil
}

// A contender is an entry while it is measured.
type contender struct {
	row
	out    bool          // this size and all above are left out
	best   float64       // at this size, nanoseconds per scenario; 0 before the first repetition
	took   float64       // the same, including what prepares the work
	before float64       // took at the size before
	spent  time.Duration // at this size, by all turns
}

// enter begins with size n, which is ten times the size before. A rival is left out of it if one repetition would take
// longer than the limit, even though the cost of a scenario grows by no more than it did before, and by no more than
// the size: disturbances can make a small size look as cheap or as dear as they like.
func (c *contender) enter(n int) {
	growth := 1.0
	if c.before > 0 {
		growth = min(max(c.took/c.before, 1), 10)
	}
	c.out = c.out || c.role == rival && c.took*growth*float64(n) > float64(limit)
	c.best, c.took, c.before, c.spent = 0, 0, c.took, 0
}

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

// repeat prepares a job and does it once, after a garbage collection if collect is set, and checks that it was done.
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
