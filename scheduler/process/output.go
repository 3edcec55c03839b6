package process

import (
	"fmt"
	"io"
	"slices"
)

// An output keeps the head and the tail of what is written to it, limit bytes in all, and passes everything on. Its
// Write never fails, so that nothing a command does or a reader of it does keeps the command from being read to its
// end.
type output struct {
	limit   int
	head    []byte // the first half of limit, rounded up
	tail    []byte // what came last: at least the other half, if there was that much
	missing int64  // bytes between the two
	live    io.Writer
	log     runLog
}

func (o *output) Write(p []byte) (int, error) {
	n := len(p)
	if o.live != nil {
		if err := write(o.live, p); err != nil {
			o.log.warn("output is copied no longer", "error", err)
			o.live = nil
		}
	}
	room := min(o.limit-o.limit/2-len(o.head), len(p))
	o.head, p = append(o.head, p[:room]...), p[room:]
	o.tail = append(o.tail, p...)
	if len(o.tail) > o.limit {
		o.trim()
	}
	return n, nil
}

// write writes to a writer that is not ours: if it panics, the run must not go down with it.
func write(w io.Writer, p []byte) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the writer panicked: %v", v)
		}
	}()
	_, err = w.Write(p)
	return err
}

// trim drops what is too much of the tail.
func (o *output) trim() {
	if excess := len(o.tail) - o.limit/2; excess > 0 {
		o.missing += int64(excess)
		o.tail = slices.Delete(o.tail, 0, excess)
	}
}

// kept returns the output, or what is kept of it.
func (o *output) kept() []byte {
	o.trim()
	if o.missing == 0 {
		return slices.Concat(o.head, o.tail)
	}
	between := fmt.Sprintf("[... %d bytes are missing here ...]\n", o.missing)
	if n := len(o.head); n > 0 && o.head[n-1] != '\n' {
		between = "\n" + between
	}
	return slices.Concat(o.head, []byte(between), o.tail)
}
