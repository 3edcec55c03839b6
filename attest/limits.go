package attest

import (
	"cmp"
	"sync/atomic"
)

// Limits bound what is read from a registry, which may be hostile or broken. A zero field means its default.
type Limits struct {
	ManifestBytes int64 // one manifest, index or page of a list; default 4 MiB, as most registries have it
	EnvelopeBytes int64 // one statement with its signatures; default 16 MiB
	TotalBytes    int64 // all that one call reads; default 256 MiB
	Statements    int   // statements at one image, other referrers counted in; default 2000
	Pages         int   // pages of one list; default 1000
	Depth         int   // nesting of JSON; default 64
}

const mib = 1 << 20

// defaultDepth bounds what is decoded without a registry at hand.
const defaultDepth = 64

func (l Limits) withDefaults() Limits {
	return Limits{
		ManifestBytes: cmp.Or(l.ManifestBytes, 4*mib),
		EnvelopeBytes: cmp.Or(l.EnvelopeBytes, 16*mib),
		TotalBytes:    cmp.Or(l.TotalBytes, 256*mib),
		Statements:    cmp.Or(l.Statements, 2000),
		Pages:         cmp.Or(l.Pages, 1000),
		Depth:         cmp.Or(l.Depth, defaultDepth),
	}
}

const whatTotal = "total bytes"

// A budget is what one call may still read. It is safe for concurrent use.
type budget struct {
	limit int64
	spent atomic.Int64
}

func (b *budget) spend(n int64) error {
	if got := b.spent.Add(n); got > b.limit {
		return &LimitError{What: whatTotal, Limit: b.limit, Got: got}
	}
	return nil
}
