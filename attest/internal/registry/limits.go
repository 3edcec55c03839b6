package registry

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/internal/strictjson"
)

// Limits bound what is read from a registry, which may be hostile or broken. A zero field means its default.
type Limits struct {
	ManifestBytes  int64 // one manifest or index; default 4 MiB, as most registries have it
	PageBytes      int64 // one page of a list; default 16 MiB, since some registries return all tags at once
	EnvelopeBytes  int64 // one statement with its signatures; default 16 MiB
	StatementBytes int64 // one statement without them, predicate and all; default 12 MiB
	AttachedBytes  int64 // one report that is no statement, see attest.Resolver.Attached; default 64 MiB
	TotalBytes     int64 // all that one call reads, statements of other kinds left out; default 256 MiB

	// Statements of other kinds, an SBOM for one, are read to their end and not kept.
	ForeignBytes      int64 // one of them with its signatures; default 256 MiB
	TotalForeignBytes int64 // all that one call reads of them; default 1 GiB

	Statements  int   // statements at one image, other referrers counted in; default 2000
	Signatures  int   // signatures of one envelope; default 32
	Pages       int   // pages of one list of referrers; default 1000. Tags are bounded by CallTime alone
	Depth       int   // nesting of JSON; default 64
	Values      int   // values in one JSON document; default 262144
	TotalValues int64 // values in all manifests and statements that one call reads, told by their commas; default 4194304

	RequestTime time.Duration // one request, with the further attempts at it; default 1 minute
	CallTime    time.Duration // one call, its Signer or Verifier included; default 10 minutes
}

// mib is a MiB in bytes.
const mib = 1 << 20

// DefaultLimits are the defaults of all limits. They bound what is decoded without a registry at hand.
var DefaultLimits = Limits{}.withDefaults()

func (l Limits) withDefaults() Limits {
	return Limits{
		ManifestBytes:  cmp.Or(l.ManifestBytes, 4*mib),
		PageBytes:      cmp.Or(l.PageBytes, 16*mib),
		EnvelopeBytes:  cmp.Or(l.EnvelopeBytes, 16*mib),
		StatementBytes: cmp.Or(l.StatementBytes, 12*mib),
		AttachedBytes:  cmp.Or(l.AttachedBytes, 64*mib),
		TotalBytes:     cmp.Or(l.TotalBytes, 256*mib),
		ForeignBytes:   cmp.Or(l.ForeignBytes, 256*mib),

		TotalForeignBytes: cmp.Or(l.TotalForeignBytes, 1024*mib),

		Statements:  cmp.Or(l.Statements, 2000),
		Signatures:  cmp.Or(l.Signatures, 32),
		Pages:       cmp.Or(l.Pages, 1000),
		Depth:       cmp.Or(l.Depth, strictjson.Default.Depth),
		Values:      cmp.Or(l.Values, strictjson.Default.Values),
		TotalValues: cmp.Or(l.TotalValues, 1<<22),
		RequestTime: cmp.Or(l.RequestTime, time.Minute),
		CallTime:    cmp.Or(l.CallTime, 10*time.Minute),
	}
}

// JSON returns the limits on one JSON document.
func JSON(l Limits) strictjson.Limits { return strictjson.Limits{Depth: l.Depth, Values: l.Values} }

// Limits on a call as a whole. To reach one says nothing about the thing that was just being read.
const (
	WhatTotal   = "total bytes"
	WhatPassed  = "total foreign bytes"
	WhatValues  = "total values"
	WhatRequest = "request milliseconds"
	WhatCall    = "call milliseconds"

	WhatStatements = "statements"
	WhatPage       = "page bytes"
	whatForeign    = "foreign bytes"
)

// A budget is what one call may still read. It is safe for concurrent use.
type budget struct {
	limit   int64
	spent   atomic.Int64
	foreign atomic.Int64 // of statements that are not kept

	values     atomic.Int64 // of statements, which are kept decoded
	statements atomic.Int64
}

// Count counts statements that are about to be fetched. More than limit are a [*fault.LimitError].
func (b *budget) Count(n, limit int) error {
	if got := b.statements.Add(int64(n)); got > int64(limit) {
		return &fault.LimitError{What: WhatStatements, Limit: int64(limit), Got: got}
	}
	return nil
}

// Decode counts the values of a statement that is about to be decoded. More than limit are a [*fault.LimitError].
func (b *budget) Decode(payload []byte, limit int64) error {
	if got := b.values.Add(int64(bytes.Count(payload, []byte(","))) + 1); got > limit {
		return &fault.LimitError{What: WhatValues, Limit: limit, Got: got}
	}
	return nil
}

// spend counts bytes.
func (b *budget) spend(n int) error {
	if got := b.spent.Add(int64(n)); got > b.limit {
		return &fault.LimitError{What: WhatTotal, Limit: b.limit, Got: got}
	}
	return nil
}

// pass counts bytes that are not kept.
func (b *budget) pass(n int, limit int64) error {
	if got := b.foreign.Add(int64(n)); got > limit {
		return &fault.LimitError{What: WhatPassed, Limit: limit, Got: got}
	}
	return nil
}

// A metered reader spends while it reads, so that many at once do not pass the limit together.
type metered struct {
	inner io.Reader
	*budget
}

func (m metered) Read(p []byte) (int, error) {
	n, err := m.inner.Read(p)
	if over := m.spend(n); over != nil {
		return n, over
	}
	return n, err
}

// Within ends a context after d, because of a [*fault.LimitError] that what names. See [Overtime].
func Within(ctx context.Context, what string, d time.Duration) (context.Context, context.CancelFunc) {
	limit := d.Milliseconds()
	return context.WithTimeoutCause(ctx, d, &fault.LimitError{What: what, Limit: limit, Got: limit + 1})
}

// Overtime returns the [*fault.LimitError] that ended ctx if there is one and err is not nil, otherwise err.
func Overtime(ctx context.Context, err error) error {
	var limit *fault.LimitError
	if err != nil && errors.As(context.Cause(ctx), &limit) {
		return limit
	}
	return err
}
